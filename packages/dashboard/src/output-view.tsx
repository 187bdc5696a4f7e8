/** What a job prints, as it comes, and the files that it left. Who controls what is shown: the job and its server; all of it is text. */
import { useEffect, useRef, useSyncExternalStore, type ReactNode } from "react";
import { downloaded } from "./downloaded.ts";
import type { JobFile } from "@xenoservers/sdk";
import type { Followed } from "./followed.ts";
import { isOfAnotherKey } from "./of-another-key.ts";
import { Problem } from "./problem.tsx";
import { progressText } from "./progress-words.ts";
import type { ScreenText } from "./screen-text.ts";
import { bytesText, said } from "./words.ts";

const NEAR_END_PX = 40;

function Screen({ name, of }: { name: string; of: ScreenText }): ReactNode {
  const box = useRef<HTMLPreElement>(null);
  const atEnd = useRef(true);
  const { text, bytes, isCut } = of;
  useEffect(() => {
    // whoever has scrolled up reads there
    if (box.current && atEnd.current) box.current.scrollTop = box.current.scrollHeight;
  }, [text]);
  const scrolled = (): void => {
    const { scrollTop, scrollHeight, clientHeight } = box.current ?? { scrollTop: 0, scrollHeight: 0, clientHeight: 0 };
    atEnd.current = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
  };
  return (
    <figure className="screen">
      <figcaption>
        {name}
        {isCut && (
          <span>
            : the end of {bytesText(bytes)}; <code>xeno logs</code> has all
          </span>
        )}
      </figcaption>
      <pre ref={box} role="log" aria-label={name} tabIndex={0} onScroll={scrolled}>
        {text}
      </pre>
    </figure>
  );
}

function Files({ files }: { files: readonly JobFile[] }): ReactNode {
  if (files.length === 0) return null;
  return (
    <>
      <h3>Files</h3>
      <ul className="files" aria-label="Files">
        {files.map(({ name, size, bytes }) => (
          <li key={name}>
            {bytes === null && said(name)}
            {bytes !== null && (
              <button type="button" className="plain" onClick={() => downloaded(name, bytes)}>
                {said(name)}
              </button>
            )}{" "}
            <span className="quiet">
              {bytesText(size)}
              {bytes === null && ": more than a page holds; xeno fetch has it"}
            </span>
          </li>
        ))}
      </ul>
    </>
  );
}

interface OutputProps {
  followed: Followed;
  again(): void;
  /** In place of stdout as text; nothing (null, false): it is text. */
  shown: ReactNode;
}

export function OutputView({ followed, again, shown }: OutputProps): ReactNode {
  const standing = useSyncExternalStore(followed.subscribe, followed.standing, followed.standing);
  const { stdout, stderr, problems, files, error, isOver } = standing;
  const isClosed = isOfAnotherKey(error);
  return (
    <section aria-labelledby="output">
      <h2 id="output">Output</h2>
      <p className="quiet" role="status">
        {error === null && progressText(standing, followed.hasJob)}
      </p>
      {isClosed && (
        <p>
          Another of your keys ordered this lease, and only that one opens what it printed: <code>xeno logs</code> shows it there.
        </p>
      )}
      {error !== null && !isClosed && (
        <>
          <Problem error={error} what="Its output cannot be followed" isRead />
          <button type="button" className="small" onClick={again}>
            Follow it again
          </button>
        </>
      )}
      {problems.map((why, i) => (
        <p key={i} className="warn">
          {said(why)}
        </p>
      ))}
      {(!isClosed && shown) || ((stdout.text !== "" || !(isOver || isClosed)) && <Screen name="stdout" of={stdout} />)}
      {stderr.text !== "" && <Screen name="stderr" of={stderr} />}
      <Files files={files} />
    </section>
  );
}
