/**
 * libbpf.so.1 as functions. koffi and the library are loaded at the first use, so that importing this folder costs
 * nothing and works on machines without either.
 *
 * Conventions of libbpf 1.x: a function that returns `int` returns the negative errno; one that returns a pointer
 * returns NULL and leaves the errno in `errno()`. Every options struct begins with its own size (`sz`), and fields
 * beyond it count as zero, so one layout serves all 1.x versions. The layouts here are those of 64-bit little-endian.
 */
import { createRequire } from 'node:module';
import { endianness } from 'node:os';
import type koffi from 'koffi';
import { BpfError, remedies } from './errors.ts';

/** An address in this process. */
export type Pointer = bigint;
/** What may stand for a pointer argument: bytes (for the duration of the call only), an address, or NULL. */
export type Memory = Uint8Array | Pointer | null;

type Native<A extends unknown[], R> = ((...args: A) => R) & {
  async(...args: [...A, (error: unknown, result: R) => void]): void;
};

/** The functions of libbpf that are called, by their C names. */
export type Libbpf = ReturnType<typeof bindLibbpf>;

let bound: Libbpf | undefined;

/** The binding, loaded once. @throws BpfError `bpf-libbpf-missing` */
export function libbpf(): Libbpf {
  bound ??= bindLibbpf('libbpf.so.1');
  return bound;
}

/** Runs a native call on a thread of koffi's, so that the event loop goes on. */
export function callAsync<A extends unknown[], R>(fn: Native<A, R>, ...args: A): Promise<R> {
  return new Promise((resolve, reject) => {
    fn.async(...args, (error, result) => (error ? reject(error) : resolve(result)));
  });
}

/** Binds a library by name. Exported for the test of a missing one; use `libbpf()`. */
// Long: a list of functions of the library, a line or two each.
export function bindLibbpf(path: string) {
  const ffi = loadKoffi();
  const lib = loadLibrary(ffi, path);
  // Symbols of libc are found too, because libbpf depends on it; so the C library needs no name of its own.
  function fn<A extends unknown[], R>(prototype: string): Native<A, R> {
    return lib.func(prototype);
  }
  const api = {
    address: (memory: Uint8Array): Pointer => ffi.address(memory),
    /** Memory outside of the heap, as an array: nobody may use it once it is unmapped. */
    view: (at: Pointer, size: number): ArrayBuffer => ffi.view(at, size),
    errno: (): number => ffi.errno(),
    registerPrint: (callback: PrintCallback): Pointer =>
      ffi.register(callback, ffi.pointer(ffi.proto('int', ['int', 'void *', 'void *']))),
    registerSample: (callback: SampleCallback): Pointer =>
      ffi.register(callback, ffi.pointer(ffi.proto('int', ['void *', 'void *', 'size_t']))),
    unregister: (callback: Pointer): void => ffi.unregister(callback),

    versionString: fn<[], string>('const char *libbpf_version_string()'),
    setPrint: fn<[Pointer | null], Pointer | null>('void *libbpf_set_print(void *fn)'),
    possibleCpus: fn<[], number>('int libbpf_num_possible_cpus()'),
    probeProgramType: fn<[number, null], number>(
      'int libbpf_probe_bpf_prog_type(int type, const void *opts)',
    ),
    probeMapType: fn<[number, null], number>('int libbpf_probe_bpf_map_type(int type, const void *opts)'),
    probeHelper: fn<[number, number, null], number>(
      'int libbpf_probe_bpf_helper(int type, int helper, const void *opts)',
    ),

    objectOpen: fn<[Uint8Array, number, Memory], Pointer | null>(
      'void *bpf_object__open_mem(const void *bytes, size_t size, const void *opts)',
    ),
    objectLoad: fn<[Pointer], number>('int bpf_object__load(void *obj)'),
    objectClose: fn<[Pointer], void>('void bpf_object__close(void *obj)'),
    objectBtf: fn<[Pointer], Pointer | null>('void *bpf_object__btf(void *obj)'),
    nextProgram: fn<[Pointer, Pointer | null], Pointer | null>(
      'void *bpf_object__next_program(void *obj, void *p)',
    ),
    programName: fn<[Pointer], string>('const char *bpf_program__name(void *prog)'),
    programFd: fn<[Pointer], number>('int bpf_program__fd(void *prog)'),
    setProgramLogBuffer: fn<[Pointer, Pointer, number], number>(
      'int bpf_program__set_log_buf(void *prog, void *buf, size_t size)',
    ),
    setProgramLogLevel: fn<[Pointer, number], number>(
      'int bpf_program__set_log_level(void *prog, uint32_t level)',
    ),
    nextMap: fn<[Pointer, Pointer | null], Pointer | null>(
      'void *bpf_object__next_map(void *obj, void *map)',
    ),
    findMap: fn<[Pointer, string], Pointer | null>(
      'void *bpf_object__find_map_by_name(void *obj, const char *name)',
    ),
    mapName: fn<[Pointer], string>('const char *bpf_map__name(void *map)'),
    mapFd: fn<[Pointer], number>('int bpf_map__fd(void *map)'),
    mapType: fn<[Pointer], number>('int bpf_map__type(void *map)'),
    mapKeySize: fn<[Pointer], number>('uint32_t bpf_map__key_size(void *map)'),
    mapValueSize: fn<[Pointer], number>('uint32_t bpf_map__value_size(void *map)'),
    mapMaxEntries: fn<[Pointer], number>('uint32_t bpf_map__max_entries(void *map)'),
    mapFlags: fn<[Pointer], number>('uint32_t bpf_map__map_flags(void *map)'),
    mapPinPath: fn<[Pointer], string | null>('const char *bpf_map__pin_path(void *map)'),
    mapReuseFd: fn<[Pointer, number], number>('int bpf_map__reuse_fd(void *map, int fd)'),
    mapInitialValue: fn<[Pointer, Uint8Array], Pointer | null>(
      'void *bpf_map__initial_value(void *map, void *size)',
    ),

    btfFind: fn<[Pointer, string, number], number>(
      'int btf__find_by_name_kind(void *btf, const char *n, uint32_t k)',
    ),
    btfType: fn<[Pointer, number], Pointer | null>('void *btf__type_by_id(void *btf, uint32_t id)'),
    btfName: fn<[Pointer, number], string>('const char *btf__name_by_offset(void *btf, uint32_t offset)'),

    mapLookup: fn<[number, Uint8Array, Uint8Array], number>(
      'int bpf_map_lookup_elem(int fd, const void *k, void *v)',
    ),
    mapUpdate: fn<[number, Uint8Array, Uint8Array, number], number>(
      'int bpf_map_update_elem(int fd, const void *k, const void *v, uint64_t flags)',
    ),
    mapDelete: fn<[number, Uint8Array], number>('int bpf_map_delete_elem(int fd, const void *k)'),
    mapNextKey: fn<[number, Uint8Array | null, Uint8Array], number>(
      'int bpf_map_get_next_key(int fd, const void *k, void *next)',
    ),
    mapLookupBatch: fn<
      [number, Uint8Array | null, Uint8Array, Uint8Array, Uint8Array, Uint8Array, null],
      number
    >(
      'int bpf_map_lookup_batch(int fd, void *from, void *to, void *keys, void *values, void *n, const void *opts)',
    ),
    programLoad: fn<[number, string, string, Uint8Array, number, null], number>(
      'int bpf_prog_load(int type, const char *name, const char *license, const void *insns, size_t n, void *opts)',
    ),
    testRun: fn<[number, Uint8Array], number>('int bpf_prog_test_run_opts(int fd, void *opts)'),
    infoByFd: fn<[number, Uint8Array, Uint8Array], number>(
      'int bpf_obj_get_info_by_fd(int fd, void *info, void *n)',
    ),
    linkCreate: fn<[number, number, number, Uint8Array], number>(
      'int bpf_link_create(int prog, int target, int type, const void *opts)',
    ),
    linkUpdate: fn<[number, number, null], number>(
      'int bpf_link_update(int link, int prog, const void *opts)',
    ),
    linkDetach: fn<[number], number>('int bpf_link_detach(int link)'),
    xdpQuery: fn<[number, number, Uint8Array], number>(
      'int bpf_xdp_query(int ifindex, int flags, void *opts)',
    ),
    pin: fn<[number, string], number>('int bpf_obj_pin(int fd, const char *path)'),
    openPinned: fn<[string], number>('int bpf_obj_get(const char *path)'),

    ringBufferNew: fn<[number, Pointer, null, null], Pointer | null>(
      'void *ring_buffer__new(int fd, void *callback, void *ctx, const void *opts)',
    ),
    ringBufferConsume: fn<[Pointer], number>('int ring_buffer__consume(void *ring)'),
    ringBufferFree: fn<[Pointer], void>('void ring_buffer__free(void *ring)'),

    interfaceIndex: fn<[string], number>('unsigned int if_nametoindex(const char *name)'),
    setns: fn<[number, number], number>('int setns(int fd, int type)'),
    mount: fn<[string, string, string, number, string], number>(
      'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
    ),
    prctl: fn<[number, number, number, number, number], number>(
      'int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)',
    ),
    capset: fn<[Uint8Array, Uint8Array], number>('int capset(void *header, const void *sets)'),
    // Variadic in C; integers and pointers are passed alike on the machines that this binding knows.
    syscall: fn<[number, number, number, number], number>(
      'long syscall(long number, long a, long b, long c)',
    ),
    socket: fn<[number, number, number], number>('int socket(int domain, int type, int protocol)'),
    sendTo: fn<[number, Uint8Array, number, number, Uint8Array, number], number>(
      'long sendto(int fd, const void *bytes, size_t size, int flags, const void *address, uint32_t length)',
    ),
    ioctl: fn<[number, number, Uint8Array], number>(
      'int ioctl(int fd, unsigned long request, void *argument)',
    ),
    mmap: fn<[null, number, number, number, number, number], Pointer>(
      'intptr_t mmap(void *at, size_t size, int protection, int flags, int fd, long offset)',
    ),
    munmap: fn<[Pointer, number], number>('int munmap(void *at, size_t size)'),
    copyMemory: fn<[Memory, Memory, number], void>('void memcpy(void *to, const void *from, size_t size)'),
    formatMessage: fn<[Uint8Array, number, Pointer, Pointer], number>(
      'int vsnprintf(void *to, size_t size, const void *format, void *list)',
    ),
  };
  // libbpf prints to stderr by default. What it has to say is collected where a load is diagnosed (load.ts).
  api.setPrint(null);
  return api;
}

/** `(level, format, va_list)`; level 0 is a warning, 1 information, 2 debugging. */
export type PrintCallback = (level: number, format: Pointer, list: Pointer) => number;

/** `(ctx, data, size)`: a record of a ring buffer, there for the duration of the call only. 0 goes on. */
export type SampleCallback = (ctx: Pointer | null, data: Pointer, size: number) => number;

type Koffi = typeof koffi;

function loadKoffi(): Koffi {
  if (endianness() !== 'LE') {
    throw new BpfError('bpf-libbpf-missing', 'the BPF runtime knows little-endian machines only', {
      remedy: 'compile here, and load on an x86-64, arm64 or riscv64 machine',
    });
  }
  try {
    const ffi: Koffi = createRequire(import.meta.url)('koffi');
    return ffi;
  } catch (cause) {
    throw new BpfError('bpf-libbpf-missing', `the npm package koffi does not load: ${messageOf(cause)}`, {
      remedy: 'run npm ci on this machine, so that npm installs the binary of its platform',
      cause,
    });
  }
}

function loadLibrary(ffi: Koffi, path: string) {
  try {
    return ffi.load(path);
  } catch (cause) {
    throw new BpfError('bpf-libbpf-missing', `${path} does not load: ${messageOf(cause)}`, {
      remedy: remedies.libbpf,
      cause,
    });
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
