/** A port of the guest, asked from here; a page cannot bring one to this machine. Who controls what is shown: the guest. */
import { useId, useState, type ReactNode, type SubmitEvent } from "react";
import { printed } from "../words.ts";
import { askPort, forwardLine, pathIn, portIn, type Answer } from "./ask-port.ts";
import type { Hands } from "./hands.ts";
import { NotHad } from "./not-had.tsx";

export const answerText = ({ bytes }: Answer): string => printed(new TextDecoder().decode(bytes));

interface PortsProps {
  hands: Hands;
  lease: string;
  /** The page's key is one that the command takes, too. */
  hasToken: boolean;
}

export function PortsView({ hands, lease, hasToken }: PortsProps): ReactNode {
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [isBusy, setIsBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const ids = { port: useId(), path: useId() };
  const ask = async (data: FormData): Promise<void> => {
    const text = (name: string): string => String(data.get(name) ?? "");
    setAnswer(await askPort(await hands.machine(), portIn(text("port")), pathIn(text("path"))));
  };
  const submit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    setIsBusy(true);
    setError(null);
    setAnswer(null);
    void ask(new FormData(event.currentTarget))
      .catch(setError)
      .finally(() => setIsBusy(false));
  };
  return (
    <section aria-labelledby="ports">
      <h3 id="ports">Ports</h3>
      <form aria-label="Ask a port" onSubmit={submit}>
        <label htmlFor={ids.port}>
          Port
          <input id={ids.port} name="port" inputMode="numeric" maxLength={5} size={6} defaultValue="80" required autoComplete="off" />
        </label>
        <label htmlFor={ids.path} className="grow">
          Path
          <input id={ids.path} name="path" maxLength={2_000} defaultValue="/" autoComplete="off" spellCheck={false} />
        </label>
        <button type="submit" disabled={isBusy}>
          {isBusy ? "Asking" : "Ask it"}
        </button>
      </form>
      <NotHad error={error} what="It does not answer" />
      {answer && (
        <figure className="screen">
          <figcaption>
            answer
            {answer.isCut && ": its beginning"}
          </figcaption>
          <pre role="log" aria-label="answer" tabIndex={0}>
            {answerText(answer)}
          </pre>
        </figure>
      )}
      <p className="quiet">
        {hasToken ? (
          <>
            With this page’s token in <code>XENO_TOKEN</code>, <code>{forwardLine(lease)}</code> brings a port of it to your own machine,
            where a browser can open it.
          </>
        ) : (
          "The command brings a port to your own machine, where a browser can open it, of machines that were ordered with a token."
        )}
      </p>
    </section>
  );
}
