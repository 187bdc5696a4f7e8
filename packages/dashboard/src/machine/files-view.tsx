/**
 * What lies in a running machine: folders are looked into, files brought here or put there, each whole or not at all. Who controls what is
 * shown: the guest.
 */
import { useId, useState, type ChangeEvent, type ReactNode, type SubmitEvent } from "react";
import type { GuestEntry } from "@xenoservers/sdk/machines";
import { Table } from "../parts.tsx";
import { bytesText, countOf, said, when } from "../words.ts";
import { FileField } from "./file-field.tsx";
import { useGuestFolder, type Folder } from "./guest-folder.ts";
import { within } from "./guest-paths.ts";
import type { Hands } from "./hands.ts";
import { NotHad } from "./not-had.tsx";
import { ReadView } from "./read-view.tsx";

const ROWS_MAX = 500;
const SECOND_MS = 1_000;

/** What a kernel makes as it is read says that it has none. */
const sizeOf = ({ kind, size }: GuestEntry): number | null => (kind === "file" && size > 0 ? size : null);

const nameText = ({ path, kind, target }: GuestEntry): string => {
  const name = said(path.toWellFormed());
  return kind === "folder" ? `${name}/` : kind === "link" ? `${name} → ${said(target.toWellFormed())}` : name;
};

interface RowsProps {
  folder: Folder;
  isBusy: boolean;
  open(entry: GuestEntry): void;
}

function Rows({ folder: { path, entries }, isBusy, open }: RowsProps): ReactNode {
  if (entries.length === 0) return <p className="quiet">There is nothing in {said(path)}.</p>;
  return (
    <div className="folder">
      <Table label={`Files in ${said(path.toWellFormed())}`} heads={["name", "size", "changed"]}>
        {entries.slice(0, ROWS_MAX).map((entry) => (
          <tr key={entry.path}>
            <td>
              {entry.kind === "other" ? (
                nameText(entry)
              ) : (
                <button type="button" className="plain" disabled={isBusy} onClick={() => open(entry)}>
                  {nameText(entry)}
                </button>
              )}
            </td>
            <td className="number">{entry.kind === "file" ? bytesText(entry.size) : ""}</td>
            <td className="number">{when(entry.mtime * SECOND_MS)}</td>
          </tr>
        ))}
      </Table>
      {entries.length > ROWS_MAX && (
        <p className="quiet">
          The first {ROWS_MAX} of {countOf(entries.length, "name")}; what is not among them is opened by its path.
        </p>
      )}
    </div>
  );
}

interface InTheWayProps {
  path: string;
  replace(): void;
  leave(): void;
}

function InTheWay({ path, replace, leave }: InTheWayProps): ReactNode {
  return (
    <div className="problem" role="alert">
      <p>
        <strong>{said(path)}</strong> is there already.{" "}
        <button type="button" className="small" onClick={replace}>
          Put the new one in its place
        </button>{" "}
        <button type="button" className="small" onClick={leave}>
          Leave it as it is
        </button>
      </p>
    </div>
  );
}

export function FilesView({ hands }: { hands: Hands }): ReactNode {
  const { typed, setTyped, folder, done, inTheWay, replace, leave, open, put, waiting, goOn, leaveAll, read, error, callOff } =
    useGuestFolder(hands);
  const path = useId();
  const isBusy = read !== null;
  const submit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    open(typed, null);
  };
  const typing = { value: typed, onChange: (event: ChangeEvent<HTMLInputElement>) => setTyped(event.target.value) };
  return (
    <section aria-labelledby="guest-files">
      <h3 id="guest-files">Files</h3>
      <form aria-label="Open a path" onSubmit={submit}>
        <label htmlFor={path} className="grow">
          Path of a folder or a file in the machine
          <input id={path} {...typing} maxLength={4_000} required autoComplete="off" spellCheck={false} />
        </label>
        <button type="submit" disabled={isBusy}>
          Open it
        </button>
        {folder && folder.path !== "/" && (
          <button type="button" disabled={isBusy} onClick={() => open(`${folder.path}/..`, null)}>
            Up
          </button>
        )}
      </form>
      {read && <ReadView read={read} callOff={callOff} verb="Moving" />}
      <NotHad error={error} what="It was not done" />
      {inTheWay && <InTheWay path={within(inTheWay.into, inTheWay.file.name)} {...{ replace, leave }} />}
      {waiting.length > 0 && <NextView names={waiting.map(({ file }) => file.name)} goOn={error === null ? null : goOn} leave={leaveAll} />}
      {done !== "" && <p role="status">{done}</p>}
      {folder && (
        <>
          <PutField folder={folder.path} put={put} />
          <Rows folder={folder} isBusy={isBusy} open={(entry) => open(within(folder.path, entry.path), sizeOf(entry))} />
        </>
      )}
    </section>
  );
}

interface NextProps {
  names: readonly string[];
  /** Null: they go on by themselves. */
  goOn: (() => void) | null;
  leave(): void;
}

const NAMES_SHOWN = 3;
const NAME_LONGEST = 80;

function NextView({ names, goOn, leave }: NextProps): ReactNode {
  const shown = names.slice(0, NAMES_SHOWN).map((name) => said(name.toWellFormed(), NAME_LONGEST));
  return (
    <p className="quiet" role="status">
      {countOf(names.length, "file")} {names.length === 1 ? "waits" : "wait"}: {shown.join(", ")}
      {names.length > shown.length && ", …"}{" "}
      {goOn && (
        <button type="button" className="small" onClick={goOn}>
          Go on with the next
        </button>
      )}{" "}
      <button type="button" className="small" onClick={leave}>
        Leave them
      </button>
    </p>
  );
}

/** The files that are chosen or dropped are put there one after another; the field is empty for the next. */
function PutField({ folder, put }: { folder: string; put(files: readonly File[]): void }): ReactNode {
  const [times, setTimes] = useState(0);
  return (
    <FileField
      key={times}
      name="put"
      label={`Put files into ${said(folder)}`}
      accept=""
      several
      chosen={(files) => {
        setTimes((before) => before + 1);
        put(files);
      }}
    />
  );
}
