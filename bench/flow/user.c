/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flow mode in user space: the same C as in the kernel, compiled for the processor, over the packets of an AF_PACKET ring
 * (TPACKET_V3). Usage: user receive INTERFACE SECONDS [OUT], which sends them on out of another interface, or user send INTERFACE
 * SECONDS: 64 flows by turns. Either prints packets and CPU nanoseconds of its own. FLOW_SOURCE is the program.
 */
#define _GNU_SOURCE
#include <linux/types.h>

#include <linux/bpf.h>

#include FLOW_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define BLOCK (1 << 18)
#define BLOCKS 64
#define BATCH 64
#define LENGTH 114

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static unsigned long long cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static int opened(const char *interface, int protocol)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(protocol) };
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	address.sll_ifindex = if_nametoindex(interface);
	return fd < 0 || !address.sll_ifindex || bind(fd, (struct sockaddr *)&address, sizeof(address)) ? -1 : fd;
}

/* Sends packets on, as they lie in the ring. */
static void send_on(int out, struct mmsghdr *messages, unsigned int count)
{
	unsigned int sent = 0;

	while (sent < count) {
		int taken = sendmmsg(out, messages + sent, count - sent, 0);

		/* What the interface does not take is lost. */
		sent += taken > 0 ? taken : 1;
	}
}

static int receive(const char *interface, unsigned long long until, const char *onward)
{
	static struct mmsghdr messages[BATCH];
	static struct iovec parts[BATCH];
	int out = onward ? opened(onward, 0) : -1, yes = 1;
	unsigned int waiting = 0;
	int fd = opened(interface, 0), version = TPACKET_V3;
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	struct tpacket_req3 ring = { .tp_block_size = BLOCK,
				     .tp_block_nr = BLOCKS,
				     .tp_frame_size = 2048,
				     .tp_frame_nr = BLOCKS * (BLOCK / 2048),
				     .tp_retire_blk_tov = 10 };
	unsigned long long packets = 0, begun;
	struct tpacket_stats_v3 statistics;
	socklen_t size = sizeof(statistics);
	char *blocks;

	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof(ring)))
		return fail("ring");
	/* Where a context's 32 bits reach. */
	blocks = mmap(NULL, (size_t)BLOCK * BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_32BIT, fd, 0);
	if (blocks == MAP_FAILED)
		return fail("mmap");
	if (onward && (out < 0 || setsockopt(out, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof(yes))))
		return fail("out");
	for (int i = 0; i < BATCH; i++)
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &parts[i], .msg_iovlen = 1 };
	address.sll_ifindex = if_nametoindex(interface);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)))
		return fail("bind");
	begun = cpu_ns();
	for (unsigned long at = 0; bpf_ktime_get_ns() < until;) {
		struct tpacket_block_desc *block = (void *)(blocks + (size_t)at * BLOCK);
		struct tpacket3_hdr *packet;

		if (!(*(volatile __u32 *)&block->hdr.bh1.block_status & TP_STATUS_USER)) {
			struct pollfd ready = { .fd = fd, .events = POLLIN };

			poll(&ready, 1, 20);
			continue;
		}
		packet = (void *)((char *)block + block->hdr.bh1.offset_to_first_pkt);
		for (__u32 i = 0; i < block->hdr.bh1.num_pkts; i++) {
			struct xdp_md ctx = { .data = (__u32)(long)packet + packet->tp_mac };

			ctx.data_end = ctx.data + packet->tp_snaplen;
			intransit_flow(&ctx);
			packets++;
			if (onward) {
				parts[waiting++] = (struct iovec){ (char *)packet + packet->tp_mac, packet->tp_snaplen };
				if (waiting == BATCH) {
					send_on(out, messages, waiting);
					waiting = 0;
				}
			}
			packet = (void *)((char *)packet + packet->tp_next_offset);
		}
		send_on(out, messages, waiting);
		waiting = 0;
		__sync_synchronize();
		block->hdr.bh1.block_status = TP_STATUS_KERNEL;
		at = (at + 1) % BLOCKS;
	}
	begun = cpu_ns() - begun;
	if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &statistics, &size))
		return fail("statistics");
	printf("{\"packets\":%llu,\"cpu\":%llu,\"lost\":%u,\"classified\":%llu}\n", packets, begun, statistics.tp_drops,
	       (unsigned long long)intransit_flow_counters()->outcomes[INTRANSIT_FLOW_CLASSIFIED]);
	return 0;
}

static int send_all(const char *interface, unsigned long long until)
{
	static unsigned char frames[BATCH][LENGTH];
	struct mmsghdr messages[BATCH];
	struct iovec parts[BATCH];
	unsigned long long packets = 0, begun;
	int fd = opened(interface, 0), yes = 1;

	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof(yes)))
		return fail("socket");
	memset(messages, 0, sizeof(messages));
	for (int i = 0; i < BATCH; i++) {
		static const unsigned char head[] = { 2, 0, 0, 0, 0, 1,	  2,   0, 0,   0, 0,  2, 8,   0,  0x45, 0,
						      0, 100, 0, 0, 0, 0, 64, 6, 0,   0, 192, 0, 2,   1,  198,	51,
						      100, 2, 0, 0, 1, 187, 0, 0, 0,  1, 0,   0, 0,   2,  0x50, 16, 1 };

		memcpy(frames[i], head, sizeof(head));
		frames[i][34] = 0x9c;
		frames[i][35] = i;
		parts[i] = (struct iovec){ .iov_base = frames[i], .iov_len = LENGTH };
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	begun = cpu_ns();
	while (bpf_ktime_get_ns() < until) {
		int sent = sendmmsg(fd, messages, BATCH, 0);

		if (sent > 0)
			packets += sent;
		else if (errno != ENOBUFS && errno != EAGAIN)
			return fail("send");
	}
	begun = cpu_ns() - begun;
	printf("{\"packets\":%llu,\"cpu\":%llu}\n", packets, begun);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned long long until;

	if (argc < 4)
		return 2;
	until = bpf_ktime_get_ns() + strtoull(argv[3], NULL, 10) * 1000000000ULL;
	return strcmp(argv[1], "send") ? receive(argv[2], until, argv[4]) : send_all(argv[2], until);
}
