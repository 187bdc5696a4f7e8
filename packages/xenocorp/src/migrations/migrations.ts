/**
 * The database's schema, in order: one SQL file each. A migration is never edited after release; each runs once, under an advisory lock, in
 * one transaction.
 */
import { readFileSync } from "node:fs";

interface Migration {
  name: string;
  sql: string;
}

const NAMES = [
  "001-market",
  "002-commit",
  "003-hearing",
  "004-keys",
  "005-books",
  "006-fleet",
  "007-plans",
  "008-history",
  "009-archive",
  "010-figures",
  "011-clocks",
  "012-references",
  "013-rows",
  "014-brief",
  "015-wills",
] as const;

export const MIGRATIONS: readonly Migration[] = NAMES.map((name) => ({
  name,
  sql: readFileSync(new URL(`./${name}.sql`, import.meta.url), "utf8"),
}));
