/** A market as this machine's customer knows it: by a context of `xeno login`, or by a token. */
import { unlessOff } from "../facade/calling-off.ts";
import { OpenMarket, type Callable } from "../facade/market.ts";
import { InputError } from "../errors.ts";
import { NO_OUTPUT, machineProblem } from "./machine/hold.ts";
import { Machine } from "./machine/machine.ts";
import { clientOf, currentContext } from "./contexts.ts";
import { hereWith } from "./here.ts";
import { plainCheck, type ModuleCheck } from "./module-check.ts";

/** How a market is found and as whom; nothing: as the `xeno` command would. */
export interface ConnectOptions {
  /** The name of a context of `xeno login`; absent: XENO_CONTEXT, or the one that was used last. */
  context?: string;
  /** A token of `xeno token create`, in place of a context; absent: XENO_TOKEN. */
  token?: string;
  /** Looks at WebAssembly modules before they are sent; absent: what V8 says of them. */
  moduleCheck?: ModuleCheck;
  /** Told what could not be kept on this machine; absent: a warning of the process. */
  onWarning?(text: string): void;
  signal?: AbortSignal;
}

/** The market: `const market = await Market.connect()`. */
export class Market extends OpenMarket {
  /** Reads who the customer is, and that the market shows the keys that were pinned; throws ContextError. */
  static async connect({ context, token, moduleCheck = plainCheck, onWarning, signal }: ConnectOptions = {}): Promise<Market> {
    const asked = { ...(context === undefined ? {} : { context }), ...(token === undefined ? {} : { token }) };
    const known = await unlessOff(signal, currentContext(asked));
    const client = clientOf(known.context, onWarning ?? ((text) => process.emitWarning(text, "XenoWarning")));
    await unlessOff(signal, client.market());
    return new Market(client, hereWith(moduleCheck));
  }

  /** The hands on a machine or image that runs: programs, files, ports, snapshots. Let go of it with `close`. */
  async machine(lease: string, { signal }: Callable = {}): Promise<Machine> {
    const bound = await this.bound(lease, signal);
    const problem = machineProblem(await this.lease(bound.po.id, signal ? { signal } : {}), bound);
    if (problem !== null) throw new InputError(problem);
    const { session, close } = this.open(bound, null, {}, NO_OUTPUT);
    return new Machine({ client: this.client, bound, session }, close);
  }
}
