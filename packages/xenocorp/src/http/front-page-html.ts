/** The market's front page as HTML: what needs no script or image. Whoever chose a text, it is shown as text. */
import { formatMoney } from "@xenoservers/market";
import { visible, type OfferView } from "@xenoservers/protocol";
import type { MarketInfo } from "@xenoservers/protocol/link";
import { PAGE_PREFIX, type PageFiles } from "./page-files.ts";

export interface Shown {
  market: MarketInfo;
  fingerprint: string;
  /** The cheapest first. */
  offers: readonly OfferView[];
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** Text as a reader of the page sees it. */
export const escaped = (text: string): string => visible(text).replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? character);

export const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 62rem; margin: 2.5rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.7rem; margin: 0 0 .25rem; }
h2 { font-size: 1.15rem; margin: 2.25rem 0 .5rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.25rem; margin: 1.25rem 0; }
dt { opacity: .75; }
dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .9rem .35rem 0; border-bottom: 1px solid #8885; vertical-align: top; }
th { white-space: nowrap; }
th { font-weight: 600; }
pre, code { font: .93em/1.5 ui-monospace, monospace; }
pre { background: #8881; border-radius: .4rem; padding: .75rem 1rem; overflow-x: auto; }
`;

const PERCENT_BASIS = 100;
const MIB_PER_GIB = 1_024;
const SHORT = 12;

const size = (mib: number): string => (mib >= MIB_PER_GIB ? `${Number((mib / MIB_PER_GIB).toFixed(1))} GiB` : `${mib} MiB`);

/** An owner's word and what the books have of it: whoever reads it decides what it means. */
function recordOf({ record: { completed, ownerFailures, convicted } }: OfferView): string {
  const told = [
    `${completed} done`,
    ...(ownerFailures > 0 ? [`${ownerFailures} failed`] : []),
    ...(convicted > 0 ? [`${convicted} wrong`] : []),
  ];
  return told.join(", ");
}

function row(offer: OfferView, currency: string): string {
  const { server, free, drivers, assurances } = offer;
  const cells = [
    `<code>${escaped(server.slice(0, SHORT))}</code>`,
    `${escaped(formatMoney(BigInt(offer.priceNanosPerHour)))} ${escaped(currency)}`,
    `${free.vcpu} vCPU, ${size(free.memoryMib)}, disk ${size(free.diskMib)}`,
    escaped(drivers.join(", ")),
    escaped(assurances.join(", ")),
    recordOf(offer),
  ];
  return `<tr>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
}

const HEADINGS = ["server", "1 vCPU, 512 MiB an hour", "free", "runs", "assurance", "leases"] as const;

function servers({ offers, market }: Shown): string {
  if (offers.length === 0) return "<p>No server has room now. Yours could be the first.</p>";
  const head = HEADINGS.map((each) => `<th scope="col">${each}</th>`).join("");
  return `<div class="wide" tabindex="0" role="region" aria-label="Servers with room now"><table><thead><tr>${head}</tr></thead><tbody>
${offers.map((offer) => row(offer, market.currency)).join("\n")}
</tbody></table></div>`;
}

function facts({ market, fingerprint }: Shown): string {
  const { origin, currency, feeBasisPoints, log, witnesses } = market;
  const all: [string, string][] = [
    ["market", escaped(origin)],
    ["fingerprint", `<code>${escaped(fingerprint)}</code>: compare it with what its operator has published before you log in`],
    ["money", `${escaped(currency)}; ${feeBasisPoints / PERCENT_BASIS} % of what is paid stays with the broker`],
    [
      "log",
      `${log.size} entries, root <code>${escaped(log.root.slice(0, SHORT))}…</code>, <a href="/log/checkpoint">signed checkpoint</a>`,
    ],
    ["witnesses", witnesses.length === 0 ? "none" : escaped(witnesses.map(({ name }) => name).join(", "))],
  ];
  return `<dl>${all.map(([name, what]) => `<dt>${name}</dt><dd>${what}</dd>`).join("\n")}</dl>`;
}

function documentOf({ market }: Shown, head: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Xenoservers: ${escaped(market.origin)}</title>
${head}
</head>
<body>
${body}
</body>
</html>
`;
}

/** `address`: where the reader found it; null where that is not known. */
export const frontPageHtml = (shown: Shown, address: string | null): string =>
  documentOf(shown, `<style>${STYLE}</style>`, bodyOf(shown, address));

/** The same for whose browser runs no script; for all others the market's page. */
export const frontPageWith = ({ script, style }: Pick<PageFiles, "script" | "style">, shown: Shown, address: string | null): string =>
  documentOf(
    shown,
    `<noscript><style>${STYLE}</style></noscript>
<link rel="stylesheet" href="${PAGE_PREFIX}${escaped(style)}">
<script type="module" src="${PAGE_PREFIX}${escaped(script)}"></script>`,
    `<div id="app"></div>\n<noscript>\n${bodyOf(shown, address)}\n</noscript>`,
  );

function bodyOf(shown: Shown, address: string | null): string {
  const url = escaped(address ?? "ADDRESS");
  return `<header>
<h1>A market for computers</h1>
<p>Owners lease their machines, customers rent them by the second. Neither has to trust the other.</p>
</header>
<main>
${facts(shown)}
<h2>Servers with room now</h2>
${servers(shown)}
<h2>Rent one</h2>
<pre>npx xenoservers login ${url}
npx xenoservers run hello.py</pre>
<h2>Lease your machine</h2>
<pre>npx xenoservers login ${url}
npx xenoservers token create --server
npx xenoservers serve --enrol TOKEN</pre>
<h2>Write a program</h2>
<p>The whole interface: <a href="/api/openapi.json"><code>/api/openapi.json</code></a>. This market as JSON:
<a href="/api/v1/market"><code>/api/v1/market</code></a>,
<a href="/api/v1/offers"><code>/api/v1/offers</code></a>.</p>
</main>`;
}
