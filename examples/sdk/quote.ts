/** What is on offer, and what a run would cost at most: nothing is signed for either. */
import { Market } from "@xenoservers/sdk";

const market = await Market.connect();
const { offers, explanation } = await market.search("cpu>=1 mem>=256M", { limit: 5 });
for (const { server, priceNanosPerHour, sandbox } of offers) console.log(server.slice(0, 12), `${priceNanosPerHour} nanos/h`, sandbox);
if (offers.length === 0) console.log(explanation);

const { quote } = await market.quote({ python: { source: "print(1)" }, budget: "0.25", maxTime: "5m" });
console.log(`at most ${quote.holdNanos} nanos are held, for ${quote.durationMsMax / 1_000} s or ${quote.fuelMax} fuel`);
