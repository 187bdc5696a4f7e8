/** What anybody may read of the market whose page this is, before any key is used. Who controls the inputs: the broker, every byte. */
import { API, refuse, parseRefusal, type Route, type RouteQueryInput, type RouteReply } from "@xenoservers/protocol";
import { BrokenWordError, RefusedError } from "@xenoservers/sdk";

type PublicName = "market" | "offers" | "checkpoint";
type Query = Readonly<Record<string, string | number | undefined>>;

async function refusedBy(response: Response): Promise<RefusedError> {
  const body: unknown = await response.json().catch(() => null);
  const told: unknown = typeof body === "object" && body !== null ? Reflect.get(body, "error") : null;
  if (typeof told !== "object" || told === null) return new RefusedError(refuse("unavailable", { why: `HTTP ${response.status}` }));
  return new RefusedError(parseRefusal(Object.fromEntries(Object.entries(told))));
}

/** Throws RefusedError, BrokenWordError. */
export async function readPublic<N extends PublicName>(
  name: N,
  query: (RouteQueryInput<N> & Query) | null,
  signal: AbortSignal,
): Promise<RouteReply<N>> {
  const route: Route = API[name];
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries<string | number | undefined>(query ?? {}))
    if (value !== undefined) search.append(key, String(value));
  const asked = fetch(`${route.path}?${search.toString()}`, { signal, credentials: "omit" });
  const response = await asked.catch((cause: unknown) => {
    signal.throwIfAborted();
    throw new RefusedError(refuse("unavailable", { why: "the broker does not answer" }), { cause });
  });
  if (!response.ok) throw await refusedBy(response);
  const reply = route.reply.safeParse(route.raw === "text" ? await response.text() : await response.json().catch(() => null));
  if (!reply.success) throw new BrokenWordError(`the broker's answer (${name}) is not what its API says`);
  // parsed by that very route's schema
  return reply.data as RouteReply<N>;
}

/** Null: it serves; else why not. */
export async function healthNow(signal: AbortSignal): Promise<string | null> {
  const response = await fetch("/readyz", { signal, credentials: "omit" });
  if (response.ok) return null;
  const body: unknown = await response.json().catch(() => null);
  const why: unknown = typeof body === "object" && body !== null ? Reflect.get(body, "why") : null;
  return typeof why === "string" ? why : `HTTP ${response.status}`;
}
