/** How fast a guest's disk may be, beside the operations that its owner gives it (`disk_iops`). */
const MIB = 1024 * 1024;

export const DISK_BYTES_PER_SECOND_MAX = 200 * MIB;
