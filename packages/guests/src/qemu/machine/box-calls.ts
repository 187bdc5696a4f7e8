/**
 * Calls of the kernel that nothing in a box makes, refused as an older kernel would: those that reach what no namespace keeps apart
 * (keyrings, bpf, performance events), that look into others, or that no filter sees into (rings). QEMU's own filter comes on top of it.
 * Who controls the inputs: nobody.
 */

const ENOSYS = 38;

/** By their numbers on x86-64, as machines are. */
const DENIED = {
  ptrace: 101,
  add_key: 248,
  request_key: 249,
  keyctl: 250,
  perf_event_open: 298,
  open_by_handle_at: 304,
  process_vm_readv: 310,
  process_vm_writev: 311,
  bpf: 321,
  userfaultfd: 323,
  io_uring_setup: 425,
  io_uring_enter: 426,
  io_uring_register: 427,
} as const;

/**
 * Words of perl(1): takes these calls from itself, for good, and becomes the program that its arguments name. A filter's instructions are
 * those of seccomp(2): code, jump if true, jump if false, operand.
 */
const wordsWithout = (denied: readonly number[], last: string): string => `
my $refuse = pack 'SCCL', 0x06, 0, 0, 0x00050000 | ${ENOSYS};
my $filter = pack('SCCL', 0x20, 0, 0, 4) . pack('SCCL', 0x15, 1, 0, 0xc000003e) . pack('SCCL', 0x06, 0, 0, 0x80000000);
$filter .= pack('SCCL', 0x20, 0, 0, 0) . pack('SCCL', 0x35, 0, 1, 0x40000000) . $refuse;
$filter .= pack('SCCL', 0x15, 0, 1, $_) . $refuse for ${denied.join(", ")};
${last}$filter .= pack 'SCCL', 0x06, 0, 0, 0x7fff0000;
my $program = pack 'S x![P] P', length($filter) / 8, $filter;
syscall(157, 22, 2, $program, 0, 0) == 0 or die "a filter of calls (seccomp): $!\\n";
exec { $ARGV[0] } @ARGV or die "$ARGV[0]: $!\\n";
`;

export const WITHOUT_CALLS = wordsWithout(Object.values(DENIED), "");

/** Of processes; clone3(2) hides its flags from a filter, and C libraries go on with clone(2). */
const BEGINS = { fork: 57, vfork: 58, clone3: 435 } as const;
const CLONE = 56;
const CLONE_THREAD = 0x1_0000;

const IOCTL = 16;
/** The kind of a call's number, and that of loop devices' (linux/loop.h). */
const [IOCTL_KIND, LOOP_KIND] = [0xff00, 0x4c00];

/**
 * The same, and no process beside its own: a clone(2) makes threads alone. Nor is a loop device set up: whoever may write to one could have
 * the host's kernel look for partitions in what was written (LOOP_SET_STATUS64). Both come last, for they read other words; what either
 * reads is no number of the other's call.
 */
export const DEVICE_MODEL_CALLS = wordsWithout(
  [...Object.values(DENIED), ...Object.values(BEGINS)],
  `$filter .= pack('SCCL', 0x15, 0, 3, ${CLONE}) . pack('SCCL', 0x20, 0, 0, 16) . pack('SCCL', 0x45, 1, 0, ${CLONE_THREAD}) . $refuse;
$filter .= pack('SCCL', 0x15, 0, 4, ${IOCTL}) . pack('SCCL', 0x20, 0, 0, 24) . pack('SCCL', 0x54, 0, 0, ${IOCTL_KIND});
$filter .= pack('SCCL', 0x15, 0, 1, ${LOOP_KIND}) . $refuse;
`,
);
