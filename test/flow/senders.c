/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several senders at once: each runs an XDP program (descriptor 3) on UDP packets of all flows, in an order of its own. Usage:
 * senders THREADS FLOWS PACKETS, packets of each flow a sender. Flow f comes from 10.0.0.0 + f, and its packets have
 * 28 + f % 64 bytes from the IP header on.
 */
#define _GNU_SOURCE
#include <linux/bpf.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PROGRAM 3
#define LEAST 28
#define KINDS 64

static unsigned long flows, packets, threads;

static void frame_of(uint32_t flow, uint8_t *frame)
{
	uint16_t length = LEAST + flow % KINDS;

	memset(frame, 0, 14 + length);
	frame[12] = 8; /* IPv4 */
	frame[14] = 0x45;
	frame[16] = length >> 8;
	frame[17] = length;
	frame[22] = 64; /* hops */
	frame[23] = 17; /* UDP */
	frame[26] = 10;
	frame[27] = flow >> 16;
	frame[28] = flow >> 8;
	frame[29] = flow;
	frame[30] = 198;
	frame[31] = 51;
	frame[32] = 100;
	frame[33] = 2;
	frame[34] = 40000 >> 8;
	frame[35] = 40000 & 0xff;
	frame[37] = 53;
	frame[39] = length - 20;
}

static void *send_all(void *which)
{
	unsigned long self = (unsigned long)which;
	uint8_t frame[256] = { 0 }, out[512];
	union bpf_attr attr;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(self % sysconf(_SC_NPROCESSORS_ONLN), &cpus);
	pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	for (unsigned long round = 0; round < packets; round++)
		for (unsigned long i = 0; i < flows; i++) {
			/* All are in the same stretch of flows, so that they meet in buckets. */
			uint32_t flow = (i & ~15ul) + (((i & 15) * (2 * self + 1) + self * 5) & 15);

			frame_of(flow, frame);
			memset(&attr, 0, sizeof(attr));
			attr.test.prog_fd = PROGRAM;
			attr.test.data_in = (uintptr_t)frame;
			attr.test.data_size_in = 14 + LEAST + flow % KINDS;
			attr.test.data_out = (uintptr_t)out;
			attr.test.data_size_out = sizeof(out);
			attr.test.repeat = 1;
			if (syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof(attr)) || attr.test.retval != 2)
				return "a packet was not passed";
		}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t ids[64];
	int failed = 0;

	if (argc != 4)
		return 2;
	threads = strtoul(argv[1], NULL, 10);
	flows = strtoul(argv[2], NULL, 10);
	packets = strtoul(argv[3], NULL, 10);
	if (threads < 1 || threads > 64 || flows % 16)
		return 2;
	for (unsigned long i = 0; i < threads; i++)
		pthread_create(&ids[i], NULL, send_all, (void *)i);
	for (unsigned long i = 0; i < threads; i++) {
		void *said;

		pthread_join(ids[i], &said);
		if (said) {
			fprintf(stderr, "%s\n", (char *)said);
			failed = 1;
		}
	}
	return failed;
}
