/** Whose key the page uses: one made here, or a capped token; and that the market's keys were compared by whoever sits here. */
import { useId, useState, type ReactNode, type SubmitEvent } from "react";
import { fingerprintOf, pinsOf } from "@xenoservers/sdk";
import type { MarketInfo } from "@xenoservers/protocol/link";
import { systemCrypto } from "@xenoservers/protocol/system";
import { Access } from "./access.ts";
import { forget, keep, newSeed, placeHere, tokenFor, type Kept } from "./key-store.ts";
import { linkTo } from "./place.ts";
import { Copied, Facts } from "./parts.tsx";
import { Problem } from "./problem.tsx";
import { said, when } from "./words.ts";

interface EnterProps {
  market: MarketInfo;
  access: Access | null;
  enter(access: Access): void;
  leave(): void;
  /** Another view led here. */
  isAsked: boolean;
}

const NAME_MAX = 64;

/** The key is kept before it is registered, so that nothing is registered whose key is lost. */
async function entered(kept: Kept, name: string): Promise<Access> {
  const place = placeHere();
  keep(place, kept);
  const access = new Access(kept, location.origin);
  try {
    if (kept.kind === "own") await access.register(name);
    await access.client.login();
    return access;
  } catch (error) {
    access.close();
    forget(place, kept);
    throw error;
  }
}

function Warning(): ReactNode {
  return (
    <div className="note">
      <p>
        <strong>Before you give this page a key:</strong> the broker served it, and could serve one that takes what you type. So it holds a
        key of its own, or a token with a cap (<code>xeno token create --max-per-day 2 --expires 30d</code>). Never paste a key from
        elsewhere: the page has no place for it.
      </p>
      <p>
        Who does not trust the broker uses <code>xeno</code>, or a page from elsewhere that the operator lets in (<code>--page ORIGIN</code>
        ).
      </p>
    </div>
  );
}

function EnterForms({ market, enter }: Pick<EnterProps, "market" | "enter">): ReactNode {
  const [isSame, setIsSame] = useState(false);
  const [isBusy, setIsBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>(null);
  const [same, name, token] = [useId(), useId(), useId()];
  const begin = (make: () => Kept, called: string): void => {
    setIsBusy(true);
    setProblem(null);
    void (async () => enter(await entered(make(), called)))().catch((error: unknown) => {
      setProblem(error);
      setIsBusy(false);
    });
  };
  const made = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const called = String(new FormData(event.currentTarget).get("name") ?? "").trim();
    begin(() => ({ kind: "own", seed: newSeed(), pins: pinsOf(market) }), called === "" ? "a page" : called);
  };
  const pasted = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const typed = String(new FormData(event.currentTarget).get("token") ?? "");
    begin(() => ({ kind: "token", token: tokenFor(typed, pinsOf(market)) }), "");
  };
  return (
    <>
      <section aria-labelledby="pin">
        <h2 id="pin">1. Is it this market?</h2>
        <Facts
          of={[
            ["market", said(market.origin)],
            [
              "fingerprint",
              <code key="fingerprint" className="fingerprint">
                {fingerprintOf(systemCrypto, pinsOf(market))}
              </code>,
            ],
          ]}
        />
        <p className="check">
          <input id={same} type="checkbox" checked={isSame} onChange={(event) => setIsSame(event.currentTarget.checked)} />
          <label htmlFor={same}>I compared the fingerprint with what the operator published, and it is the same</label>
        </p>
      </section>
      <section aria-labelledby="whose">
        <h2 id="whose">2. With which key?</h2>
        <Problem error={problem} what="That did not work" />
        <div className="columns">
          <form onSubmit={pasted} aria-label="With a token">
            <h3>With a capped token</h3>
            <label htmlFor={token}>Token</label>
            <input id={token} name="token" type="password" autoComplete="off" required spellCheck={false} placeholder="xeno-ci-…" />
            <button type="submit" disabled={!isSame || isBusy}>
              Use this token
            </button>
          </form>
          <form onSubmit={made} aria-label="With a new key">
            <h3>With a new key of this page</h3>
            <label htmlFor={name}>What to call you</label>
            <input id={name} name="name" maxLength={NAME_MAX} autoComplete="off" placeholder="a page" />
            <button type="submit" disabled={!isSame || isBusy}>
              Make a key
            </button>
            <p className="quiet">It is made and kept in this browser, and lost with its data.</p>
          </form>
        </div>
      </section>
    </>
  );
}

/** A key that was made here is nowhere else: it is asked twice. */
function Forget({ isOwn, leave }: { isOwn: boolean; leave(): void }): ReactNode {
  const [isAsked, setIsAsked] = useState(false);
  if (!isOwn || isAsked)
    return (
      <p>
        <button type="button" className="danger" onClick={leave}>
          {isOwn ? "Forget it for ever" : "Forget this key"}
        </button>{" "}
        {isOwn && (
          <button type="button" className="plain" onClick={() => setIsAsked(false)}>
            Keep it
          </button>
        )}
        {!isOwn && <span className="quiet">The token itself stays as it is.</span>}
      </p>
    );
  return (
    <p>
      <button type="button" className="danger" onClick={() => setIsAsked(true)}>
        Forget this key
      </button>{" "}
      <span className="quiet">It lies in this browser alone: its money and leases cannot be reached any more then.</span>
    </p>
  );
}

/** Where a browser trusts the way here to nobody, it has no encryption for pages either, and anybody on the way can change this one. */
function Unsafe(): ReactNode {
  return (
    <div className="problem" role="alert">
      <p>
        <strong>This page came over plain http, and takes no key:</strong> whoever is on the way here can change it. Open it by https, or on
        the broker’s own machine.
      </p>
    </div>
  );
}

function Present({ access, leave }: { access: Access; leave(): void }): ReactNode {
  const { about, party, client } = access;
  const { kind, label, expiresAt } = about;
  return (
    <section aria-labelledby="present">
      <h2 id="present">The key of this page</h2>
      <Facts
        of={[
          ["party", <Copied key="party" text={party} label="the party" />],
          ["key", kind === "own" ? "made in this browser" : `a token: ${said(label ?? "")}`],
          ["may", client.identity.scopes.join(", ")],
          ...(expiresAt === null ? [] : ([["until", when(expiresAt)]] as const)),
          ["market", <code key="pins">{fingerprintOf(client.crypto, access.pins)}</code>],
        ]}
      />
      <p>
        <a href={linkTo("run")}>Run something</a>, see <a href={linkTo("leases")}>leases</a> or the <a href={linkTo("wallet")}>wallet</a>.
      </p>
      <Forget isOwn={kind === "own"} leave={leave} />
    </section>
  );
}

export function EnterView({ market, access, enter, leave, isAsked }: EnterProps): ReactNode {
  return (
    <>
      <h1>{access ? "Your key" : "A key for this page"}</h1>
      {isAsked && !access && <p className="lead">What you went to needs a key.</p>}
      {access && <Present access={access} leave={leave} />}
      {!access && (isSecureContext ? <EnterForms market={market} enter={enter} /> : <Unsafe />)}
      <Warning />
    </>
  );
}
