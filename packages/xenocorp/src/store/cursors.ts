/**
 * Places in the order of a party's history, as stores write them into cursors: numbers between points, of which the first of three is the
 * log's epoch. Who controls the inputs: a cursor that comes back is whatever its sender likes.
 */

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
