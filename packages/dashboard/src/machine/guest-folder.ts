/** A folder of a guest as it is looked into, and the files that are brought from it and put there. Who controls the inputs: the guest. */
import { useEffect, useState } from "react";
import { InputError } from "@xenoservers/sdk";
import type { GuestEntry, Machine } from "@xenoservers/sdk/machines";
import { blobDownloaded } from "../downloaded.ts";
import { bytesText, said } from "../words.ts";
import { guestPath, within } from "./guest-paths.ts";
import type { Hands } from "./hands.ts";
import { unreadable } from "./machine-input.ts";
import { useWork, type Doing, type Work } from "./use-work.ts";

export interface Folder {
  path: string;
  entries: readonly GuestEntry[];
}

type Files = Pick<Machine["files"], "look" | "entries">;

/** Null where nothing is there; of a link, what it leads to. */
export async function isFolder(files: Pick<Files, "look">, path: string, signal: AbortSignal): Promise<boolean | null> {
  const found = await files.look(path, { signal });
  if (found?.kind !== "link") return found && found.kind === "folder";
  return (await files.look(`${path}/.`, { signal })) !== null;
}

const inOrder = (one: GuestEntry, other: GuestEntry): number =>
  Number(other.kind === "folder") - Number(one.kind === "folder") || (one.path < other.path ? -1 : 1);

export async function folderAt(files: Pick<Files, "entries">, path: string, signal: AbortSignal): Promise<Folder> {
  const entries = await files.entries(path, { signal });
  return { path, entries: entries.toSorted(inOrder) };
}

/** A file on its way to a folder of the machine. */
interface Put {
  file: File;
  into: string;
}

interface GuestFolder extends Pick<Work, "read" | "error" | "callOff"> {
  typed: string;
  setTyped(path: string): void;
  /** Null: none was looked into yet. */
  folder: Folder | null;
  /** What was done last; empty: nothing, or it is under way. */
  done: string;
  /** Waits until it is said whether it takes the place of what is there. */
  inTheWay: Put | null;
  replace(): void;
  leave(): void;
  /** They are put there one after another; what fails, or is in the way, holds the others up. */
  waiting: readonly Put[];
  goOn(): void;
  leaveAll(): void;
  /** A folder is looked into, a file brought here. `size`: of a file; null: nobody knows. */
  open(path: string, size: number | null): void;
  put(files: readonly File[]): void;
}

export function useGuestFolder(hands: Hands): GuestFolder {
  const [typed, setTyped] = useState("/");
  const [folder, setFolder] = useState<Folder | null>(null);
  const [inTheWay, setInTheWay] = useState<Put | null>(null);
  const [waiting, setWaiting] = useState<readonly Put[]>([]);
  const [done, setDone] = useState("");
  const { begin, ...work } = useWork();
  const beginning = (
    name: string,
    size: number | null,
    doing: (files: Machine["files"], ...ways: Parameters<Doing>) => Promise<void>,
  ): void => {
    setDone("");
    setInTheWay(null);
    begin(name, size, async (...ways) => doing((await hands.machine()).files, ...ways));
  };
  const entered = async (files: Files, path: string, signal: AbortSignal): Promise<void> => {
    const found = await folderAt(files, path, signal);
    if (signal.aborted) return;
    setFolder(found);
    setTyped(path);
  };
  const open: GuestFolder["open"] = (path, size) =>
    beginning(path, size, async (files, signal, onBytes) => {
      const at = guestPath(path);
      const isOne = await isFolder(files, at, signal);
      if (isOne === null) throw new InputError(`there is nothing at ${at} in the machine`);
      if (isOne) return entered(files, at, signal);
      const blob = await files.readBlob(at, { signal, onBytes });
      if (signal.aborted) return;
      blobDownloaded(at.toWellFormed(), blob);
      setDone(`${said(at.toWellFormed())} has come, all of its ${bytesText(blob.size)}.`);
    });
  const begun = ({ file, into }: Put, isReplaced: boolean): void => {
    const to = within(into, file.name);
    beginning(file.name, file.size, async (files, signal, onBytes) => {
      if (!isReplaced && (await files.look(to, { signal })) !== null) return setInTheWay({ file, into });
      await files.write(to, file, { signal, onBytes }).catch(unreadable);
      await entered(files, into, signal);
      if (!signal.aborted) setDone(`${said(to)} is there, all of its ${bytesText(file.size)}.`);
    });
  };
  const goOn = (): void => {
    const [next, ...others] = waiting;
    if (!next) return;
    setWaiting(others);
    begun(next, false);
  };
  const isFree = work.read === null && work.error === null && inTheWay === null;
  useEffect(() => {
    if (isFree) goOn();
  }, [isFree, waiting]);
  return {
    ...{ ...work, typed, setTyped, folder, done, inTheWay, open, waiting, goOn },
    replace: () => inTheWay && begun(inTheWay, true),
    leave: () => setInTheWay(null),
    leaveAll: () => setWaiting([]),
    put: (files) => {
      const more = files.map((file): Put => ({ file, into: folder?.path ?? "/" }));
      const isFirst = waiting.length === 0 && work.read === null && inTheWay === null;
      // what failed before holds up no other
      if (isFirst && more[0]) begun(more[0], false);
      setWaiting([...waiting, ...more.slice(isFirst ? 1 : 0)]);
    },
  };
}
