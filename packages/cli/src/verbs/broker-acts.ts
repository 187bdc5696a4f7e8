/** `xeno broker credit`, `suspend`, `referee`, `witness`: what the operator alone may say, each a signed document. */
import type { BrokerWitnessInput, CreditInput, RefereeInput, SuspendInput } from "../input/verbs/operator.ts";
import { operate, operatorHere } from "../local/operate.ts";

export async function brokerCredit({ party, amount, source, reference, data }: CreditInput): Promise<void> {
  const client = await operatorHere(data);
  await operate(client, "credit", { party, amountNanos: amount.toString(), source, reference, clientId: client.newId() });
}

export async function brokerSuspend({ party, reason, lift, data }: SuspendInput): Promise<void> {
  const client = await operatorHere(data);
  await operate(client, "suspension", { party, suspended: !lift, reason, clientId: client.newId() });
}

export async function brokerReferee({ server, remove, data }: RefereeInput): Promise<void> {
  const client = await operatorHere(data);
  await operate(client, "referee", { server, active: !remove, clientId: client.newId() });
}

export async function brokerWitness({ witness: { name, key }, remove, data }: BrokerWitnessInput): Promise<void> {
  const client = await operatorHere(data);
  await operate(client, "witness", { name, key, active: !remove, clientId: client.newId() });
}
