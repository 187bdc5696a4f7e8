/**
 * What a guest's process may still ask of the kernel once it is ready, as the program that the kernel runs before each call (seccomp(2),
 * BPF): the calls that Node, V8 and the worker make while a job runs, and of some only with certain arguments. No file is made and none is
 * opened to be written: what is written goes where the daemon opened a file for it. Every other call ends the process: Node waits for ever
 * where it is told EPERM. Who controls the inputs: nobody; what it judges is the guest's once the engine is broken out of.
 */

/** Numbers of x86-64 (arch/x86/entry/syscalls/syscall_64.tbl) and of arm64 (include/uapi/asm-generic/unistd.h); null: it has none. */
type Numbers = readonly [x64: number | null, arm64: number | null];

/** Allowed whatever their arguments. */
const FREE: Record<string, Numbers> = {
  // files: within its root
  ...{ read: [0, 63], write: [1, 64], readv: [19, 65], writev: [20, 66], pread64: [17, 67], pwrite64: [18, 68] },
  ...{ close: [3, 57], lseek: [8, 62], ftruncate: [77, 46], fsync: [74, 82], fdatasync: [75, 83] },
  ...{ stat: [4, null], fstat: [5, 80], lstat: [6, null], newfstatat: [262, 79], statx: [332, 291] },
  ...{ access: [21, null], faccessat: [269, 48], faccessat2: [439, 439], readlink: [89, null], readlinkat: [267, 78], getcwd: [79, 17] },
  // memory, and code that is compiled while the guest runs
  ...{ mmap: [9, 222], mprotect: [10, 226], munmap: [11, 215], brk: [12, 214], mremap: [25, 216], madvise: [28, 233] },
  ...{ pkey_mprotect: [329, 288], pkey_alloc: [330, 289], pkey_free: [331, 290] },
  // threads and waiting
  ...{
    futex: [202, 98],
    sched_yield: [24, 124],
    sched_getaffinity: [204, 123],
    sched_getparam: [143, 121],
    sched_getscheduler: [145, 120],
    membarrier: [324, 283],
  },
  ...{ set_robust_list: [273, 99], rseq: [334, 293], exit: [60, 93], exit_group: [231, 94], tgkill: [234, 131], gettid: [186, 178] },
  ...{ rt_sigaction: [13, 134], rt_sigprocmask: [14, 135], rt_sigreturn: [15, 139], sigaltstack: [131, 132], restart_syscall: [219, 128] },
  ...{ epoll_create1: [291, 20], epoll_ctl: [233, 21], epoll_wait: [232, null], epoll_pwait: [281, 22], poll: [7, null], ppoll: [271, 73] },
  ...{ eventfd2: [290, 19], pipe2: [293, 59], dup: [32, 23], nanosleep: [35, 101], clock_nanosleep: [230, 115] },
  // what it may know
  ...{ clock_gettime: [228, 113], clock_getres: [229, 114], gettimeofday: [96, 169], getrandom: [318, 278], uname: [63, 160] },
  ...{ getpid: [39, 172], getuid: [102, 174], geteuid: [107, 175], getgid: [104, 176], getegid: [108, 177], getcpu: [309, 168] },
  ...{ sysinfo: [99, 179], getrusage: [98, 165], getrlimit: [97, 163] },
};

/** Allowed where one argument is one of these. */
interface Limited {
  numbers: Numbers;
  argument: number;
  values: readonly number[];
}
/** Allowed where one argument has none of these bits. */
interface Without {
  numbers: Numbers;
  argument: number;
  bits: number;
}
/** O_WRONLY, O_RDWR, O_CREAT, O_TRUNC and what O_TMPFILE adds to O_DIRECTORY: the same on both machines. */
const TO_WRITE = 0o1 | 0o2 | 0o100 | 0o1_000 | 0o20_000_000;
const WITHOUT: Record<string, Without> = {
  open: { numbers: [2, null], argument: 1, bits: TO_WRITE },
  openat: { numbers: [257, 56], argument: 2, bits: TO_WRITE },
};

/** As glibc makes a thread: one of this process, never a process or a namespace (clone(2)). */
const THREAD_FLAGS = 0x3d_0f_00;
const LIMITED: Record<string, Limited> = {
  clone: { numbers: [56, 220], argument: 0, values: [THREAD_FLAGS] },
  // FIONBIO, FIOCLEX, TCGETS
  ioctl: { numbers: [16, 29], argument: 1, values: [0x54_21, 0x54_51, 0x54_01] },
  // F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC
  fcntl: { numbers: [72, 25], argument: 1, values: [0, 1, 2, 3, 4, 1_030] },
  // PR_SET_NAME, PR_SET_VMA
  prctl: { numbers: [157, 167], argument: 0, values: [15, 0x53_56_4d_41] },
  // its own limits, which it can only lower
  prlimit64: { numbers: [302, 261], argument: 0, values: [0] },
};

/**
 * Answered as by a kernel that has none: glibc falls back to clone, whose flags a filter can see, and libuv to epoll, which goes by no
 * other way. What it has of rings when the filter comes can be entered no more (io_uring_enter).
 */
const UNKNOWN: Record<string, Numbers> = { clone3: [435, 435], io_uring_setup: [425, 425] };

const MACHINES = { x64: { audit: 0xc0_00_00_3e, column: 0 }, arm64: { audit: 0xc0_00_00_b7, column: 1 } } as const;
export type Machine = keyof typeof MACHINES;
export const isMachine = (arch: string): arch is Machine => Object.hasOwn(MACHINES, arch);

const ENOSYS = 38;
const RETURN = { kill: 0x80_00_00_00, allow: 0x7f_ff_00_00, unknown: 0x00_05_00_00 | ENOSYS } as const;
const CODE = { load: 0x20, ifEqual: 0x15, ifAnyBit: 0x45, return: 0x06 } as const;
/** Offsets in struct seccomp_data. */
const AT = { number: 0, machine: 4, arguments: 16 } as const;
const ARGUMENT_BYTES = 8;
const INSTRUCTION_BYTES = 8;

type Instruction = [code: number, ifTrue: number, ifFalse: number, k: number];
const load = (offset: number): Instruction => [CODE.load, 0, 0, offset];
const loadArgument = (argument: number): Instruction => load(AT.arguments + argument * ARGUMENT_BYTES);
const returns = (what: keyof typeof RETURN): Instruction => [CODE.return, 0, 0, RETURN[what]];
/** What follows is skipped unless they are equal. */
const unless = (value: number, skipped: number): Instruction => [CODE.ifEqual, 0, skipped, value];
const answering = (number: number, what: keyof typeof RETURN): Instruction[] => [unless(number, 1), returns(what)];

/** The filter as an array of struct sock_filter. Both machines are little-endian: the low half of an argument comes first. */
export function seccompFilter(machine: Machine): Uint8Array {
  const { audit, column } = MACHINES[machine];
  const program: Instruction[] = [load(AT.machine), [CODE.ifEqual, 1, 0, audit], returns("kill"), load(AT.number)];
  for (const { numbers, argument, values } of Object.values(LIMITED)) {
    const number = numbers[column];
    if (number === null) continue;
    const allowed = values.flatMap((value) => answering(value, "allow"));
    program.push(unless(number, allowed.length + 2), loadArgument(argument), ...allowed, returns("kill"));
  }
  for (const { numbers, argument, bits } of Object.values(WITHOUT)) {
    const number = numbers[column];
    if (number === null) continue;
    program.push(unless(number, 4), loadArgument(argument), [CODE.ifAnyBit, 0, 1, bits], returns("kill"), returns("allow"));
  }
  for (const [what, calls] of [["unknown", UNKNOWN] as const, ["allow", FREE] as const])
    for (const numbers of Object.values(calls)) {
      const number = numbers[column];
      if (number !== null) program.push(...answering(number, what));
    }
  program.push(returns("kill"));
  const bytes = Buffer.alloc(program.length * INSTRUCTION_BYTES);
  for (const [i, [code, ifTrue, ifFalse, k]] of program.entries()) {
    bytes.writeUInt16LE(code, i * INSTRUCTION_BYTES);
    bytes.writeUInt8(ifTrue, i * INSTRUCTION_BYTES + 2);
    bytes.writeUInt8(ifFalse, i * INSTRUCTION_BYTES + 3);
    bytes.writeUInt32LE(k, i * INSTRUCTION_BYTES + 4);
  }
  return bytes;
}
