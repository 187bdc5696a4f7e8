/**
 * Told before anything else is loaded: the page runs under a policy that makes no code of text, and zod is not to try.
 */
Object.assign(globalThis, { __zod_globalConfig: { jitless: true } });
