/**
 * Consoles that an image's domain has beside its first, in place of a machine's ports: what each is for, and what xenstore says of them
 * when the domain is made. Xen's own daemon serves the first alone; ours (ring.pl) comes when somebody speaks. A backend that says from
 * the start that it is connected keeps no kernel waiting for it as it boots. Pure.
 */
import { SHELL_PORTS } from "../qemu/machine/plan.ts";

/** By what they are for; their places, and so their names in a Linux: /dev/hvc1 and on (init/domain.pl). */
const PLACES = {
  /** What our init is told while its job runs. */
  control: 1,
  /** What the program reads. */
  stdin: 2,
  /** The first of the shell's. */
  shell: 3,
} as const;

export type DomainConsole = "control" | "stdin" | { shell: number };

export const placeOf = (of: DomainConsole): number => (typeof of === "string" ? PLACES[of] : PLACES.shell + of.shell);

/** As the guest's own programs find it. */
export const guestDevice = (of: DomainConsole): string => `/dev/hvc${placeOf(of)}`;

const CONSOLES: readonly DomainConsole[] = ["control", "stdin", ...Array.from({ length: SHELL_PORTS }, (_, shell) => ({ shell }))];

const frontends = (domain: number): string => `/local/domain/${domain}/device/console`;
const backends = (domain: number): string => `/local/domain/0/backend/console/${domain}`;

/** As in xen/io/xenbus.h. */
const INITIALISING = "1";
const CONNECTED = "4";

/** In their order: a kernel names them as it finds them. The last kind says to libxl what goes with the domain. */
export const consoleNodes = (domain: number): (readonly [node: string, value: string])[] =>
  CONSOLES.flatMap((of) => {
    const place = placeOf(of);
    const [frontend, backend] = [`${frontends(domain)}/${place}`, `${backends(domain)}/${place}`];
    const known = `/libxl/${domain}/device/console/${place}`;
    return [
      ...Object.entries({ frontend, "frontend-id": String(domain), online: "1", protocol: "vt100", state: CONNECTED }).map(
        ([name, value]) => [`${backend}/${name}`, value] as const,
      ),
      ...Object.entries({ frontend, backend }).map(([name, value]) => [`${known}/${name}`, value] as const),
      ...Object.entries({ backend, "backend-id": "0", state: INITIALISING }).map(
        ([name, value]) => [`${frontend}/${name}`, value] as const,
      ),
    ];
  });

/** Whose those nodes are, in xenstore-chmod(1)'s words: the domain writes its side, and reads the other. */
export const consoleOwners = (domain: number): (readonly [node: string, ...modes: string[]])[] => [
  [backends(domain), "n0", `r${domain}`],
  [frontends(domain), `n${domain}`, "r0"],
];

/** What the domain's kernel offers for a console: nodes that it writes itself. */
export const offerNodes = (domain: number, of: DomainConsole): [grant: string, port: string] => [
  `${frontends(domain)}/${placeOf(of)}/ring-ref`,
  `${frontends(domain)}/${placeOf(of)}/port`,
];

export interface ConsoleOffer {
  grant: number;
  port: number;
}

const NUMBER_MAX = 2 ** 32 - 1;

/** Of what was read of those nodes, a line each; null where it is no offer (yet). Who controls the input: the guest, every byte. */
export function parseOffer(text: string): ConsoleOffer | null {
  const found = /^(\d{1,10})\n(\d{1,10})\n?$/.exec(text);
  const [grant, port] = [Number(found?.[1]), Number(found?.[2])];
  return found !== null && grant <= NUMBER_MAX && port <= NUMBER_MAX ? { grant, port } : null;
}
