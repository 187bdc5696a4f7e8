/**
 * Access lists (acl(5)) of an image's files. A disk of squashfs has no place for them: they lie in it under names of ours, and a list of
 * their files beside the root; the guest's init puts them where they belong (init/init.pl). Who controls the inputs: the customer, every
 * byte.
 */
const VERSION = 2;
const HEAD_BYTES = 4;
const ENTRY_BYTES = 8;
const ANY_PERMISSION = 7;
/** In this order (linux/posix_acl.h). */
const TAG = { owner: 1, user: 2, group: 4, groups: 8, mask: 16, others: 32 } as const;
const ORDER: readonly number[] = Object.values(TAG);
const ONCE: readonly number[] = [TAG.owner, TAG.group, TAG.others];
const NAMED: readonly number[] = [TAG.user, TAG.groups];

const OURS = "trusted.xeno.";
const THEIRS = "system.";
const OF_ACCESS = "posix_acl_access";
const OF_DEFAULT = "posix_acl_default";

/** The file beside the root that names those that have one. */
export const LISTED = "acl";

export const isAccessList = (name: string): boolean => name === THEIRS + OF_ACCESS || name === THEIRS + OF_DEFAULT;
/** By which they would be taken for ours. */
export const isOfOurs = (name: string): boolean => name.startsWith(OURS);
export const onDisk = (name: string): string => (isAccessList(name) ? OURS + name.slice(THEIRS.length) : name);

/** Whether a kernel takes it for such a file; what a folder hands down is a folder's alone. */
export const mayHold = (kind: string, name: string): boolean => (name.endsWith(OF_DEFAULT) ? kind === "directory" : kind !== "symlink");

/** Whether it is one, as the kernel reads it (fs/posix_acl.c): entries in their order, each kind but the named ones once. */
export function isAccessListValue(value: string): boolean {
  const bytes = Buffer.from(value, "latin1");
  if (bytes.length < HEAD_BYTES || bytes.readUInt32LE(0) !== VERSION || (bytes.length - HEAD_BYTES) % ENTRY_BYTES !== 0) return false;
  const tags: number[] = [];
  for (let at = HEAD_BYTES; at < bytes.length; at += ENTRY_BYTES) {
    const tag = bytes.readUInt16LE(at);
    if (!ORDER.includes(tag) || bytes.readUInt16LE(at + 2) > ANY_PERMISSION) return false;
    if (tag < (tags.at(-1) ?? 0) || (tag === tags.at(-1) && !NAMED.includes(tag))) return false;
    tags.push(tag);
  }
  // none at all takes away what there was
  if (tags.length === 0) return true;
  return ONCE.every((tag) => tags.includes(tag)) && (tags.includes(TAG.mask) || !tags.some((tag) => NAMED.includes(tag)));
}
