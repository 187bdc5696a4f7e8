/**
 * Places in the order of a party's history, as stores write them into cursors: numbers between points, of which the first of three is the
 * log's epoch. Who controls the inputs: a cursor that comes back is whatever its sender likes.
 */

const EPOCH_DIGITS = 12;
/** Stands in cursors for the log's epoch: two restores of one backup are two epochs of the same place in turn. */
export const epochMark = (epochId: string | undefined): number => Number.parseInt(epochId?.slice(0, EPOCH_DIGITS) ?? "0", 16);

/** No number in the database is larger. */
const NUMBER_MAX = 2n ** 63n - 1n;

const numberOf = (text: string | undefined): bigint => {
  const number = /^\d{1,20}$/.test(text ?? "") ? BigInt(text ?? "") : 0n;
  return number > NUMBER_MAX ? NUMBER_MAX : number;
};

/** The numbers of a cursor; whatever is no number is 0. */
export const numbersIn = (cursor: string): bigint[] => cursor.split(".").map(numberOf);

/** Whether one event's cursor comes after a place. Every event of another epoch than the place does: an epoch begins with all of them. */
export function isAfter(cursor: string, place: string | null): boolean {
  if (place === null) return true;
  const [numbers, others] = [numbersIn(cursor), numbersIn(place)];
  if (numbers.length > 1 && numbers[0] !== others[0]) return true;
  const at = numbers.findIndex((number, i) => number !== (others[i] ?? 0n));
  return at >= 0 && (numbers[at] ?? 0n) > (others[at] ?? 0n);
}

/** A lease's place in lists, newest first: its time, and its id among those of the same time. */
export interface LeasePlace {
  issuedAt: bigint;
  id: string;
}
/** Before the newest. */
const NEWEST: LeasePlace = { issuedAt: NUMBER_MAX, id: "" };

export const leasePlaceOf = ({ issuedAt, id }: { issuedAt: number; id: string }): string => `${issuedAt}.${id}`;

export function leasePlaceIn(cursor: string | null): LeasePlace {
  if (cursor === null) return NEWEST;
  const [time, id = ""] = cursor.split(".");
  return { issuedAt: numberOf(time), id };
}

/** A movement's place in a statement, newest first. */
export const entryPlaceIn = (cursor: string | null): bigint => (cursor === null ? NUMBER_MAX : numberOf(cursor));

/** A page of a list of which one row more was read than it may have. */
export function pageOf<T>(rows: readonly T[], limit: number, placeOf: (row: T) => string): { rows: T[]; next: string | null } {
  const last = rows[limit - 1];
  return { rows: rows.slice(0, limit), next: rows.length > limit && last !== undefined ? placeOf(last) : null };
}
