/**
 * VNC authentication (RFC 6143, 7.2.2): DES with eight bytes of password. It keeps out whoever else is on this machine and can connect to
 * its ports; nothing of it goes over a network. DES hides nothing for long from who sees both challenge and answer, so a password is
 * drawn for one port and never kept.
 */
import { createCipheriv, randomInt, timingSafeEqual } from "node:crypto";

const LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
const LENGTH = 8;
export const CHALLENGE_BYTES = 16;
/** As in every vncpasswd: it makes a file of a password that cannot be read at a glance. */
const FILE_KEY = Buffer.from([23, 82, 107, 6, 35, 78, 88, 7]);

/** 57^8: two to the power of 46. */
export const newPassword = (): string => Array.from({ length: LENGTH }, () => LETTERS[randomInt(LETTERS.length)]).join("");

/** VNC takes each byte of a key with its lowest bit first. */
const reversed = (byte: number): number => Array.from({ length: 8 }, (_, i) => ((byte >> i) & 1) << (7 - i)).reduce((a, b) => a | b, 0);

/** DES in blocks, as triple DES with one key three times: OpenSSL 3 has no other way to it. */
function des(key: Uint8Array, bytes: Uint8Array): Buffer {
  const one = Buffer.from(key.map(reversed));
  return createCipheriv("des-ede3-ecb", Buffer.concat([one, one, one]), null)
    .setAutoPadding(false)
    .update(bytes);
}

const padded = (password: string): Buffer => Buffer.concat([Buffer.from(password, "latin1"), Buffer.alloc(LENGTH)]).subarray(0, LENGTH);

export const answerTo = (challenge: Uint8Array, password: string): Buffer => des(padded(password), challenge);

export const isAnswer = (answer: Uint8Array, challenge: Uint8Array, password: string): boolean =>
  answer.length === CHALLENGE_BYTES && timingSafeEqual(answer, answerTo(challenge, password));

/** A file of that password as viewers read it (`-passwd`). */
export const passwordFile = (password: string): Buffer => des(FILE_KEY, padded(password));
