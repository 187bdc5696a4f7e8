/** Which of several images in one place is meant: by a name that stands beside it, whole or in part, or by its number (`@0`). */
import { parseReference } from "./reference.ts";
import { OciError } from "./source.ts";

export interface Named {
  names: readonly string[];
}

const isSameName = (name: string, wanted: string): boolean => {
  const [one, other] = [parseReference(name), parseReference(wanted)];
  return one !== null && JSON.stringify(one) === JSON.stringify(other);
};

/** From the strictest to the loosest: as it stands there, as engines read names, as people shorten them. */
const RULES: readonly ((name: string, wanted: string) => boolean)[] = [
  (name, wanted) => name === wanted,
  isSameName,
  (name, wanted) => [`/${wanted}`, `/${wanted}:latest`, `:${wanted}`].some((end) => name.endsWith(end)),
];

const NAMES_SHOWN = 10;

function namesOf(images: readonly Named[]): string {
  const names = images.flatMap((image) => image.names);
  const more = names.length - NAMES_SHOWN;
  return names.slice(0, NAMES_SHOWN).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/** All that fit equally well; every one where none is wanted. Throws OciError where none fits. */
export function fitting<T extends Named>(images: readonly T[], wanted: string | null, place: string): readonly T[] {
  if (wanted === null) return images;
  const number = /^@(\d{1,4})$/.exec(wanted)?.[1];
  const numbered = number === undefined ? undefined : images[Number(number)];
  if (numbered) return [numbered];
  for (const rule of RULES) {
    const fit = images.filter(({ names }) => names.some((name) => rule(name, wanted)));
    if (fit.length > 0) return fit;
  }
  const names = namesOf(images);
  throw new OciError(`${place} holds no image named ${wanted}${names === "" ? "" : `; it holds ${names}`}`);
}

/** `isHeld`: it has no place behind which a name could stand. */
export function severalIn({ name: place, isHeld }: { name: string; isHeld?: true }, images: readonly Named[]): OciError {
  const names = namesOf(images);
  const how = isHeld ? "save the one that is meant by itself" : `say which, as ${place}:NAME`;
  return new OciError(
    `${place} holds ${images.length} images: ${how}; it holds ${names || `no names${isHeld ? "" : ", so as @0, @1, …"}`}`,
  );
}
