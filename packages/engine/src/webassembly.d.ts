/** The parts of the platform that the engine uses, declared here so that nothing else of it type-checks: no clock, no network, no files. */
declare namespace WebAssembly {
  interface Memory {
    readonly buffer: ArrayBuffer;
    grow(pages: number): number;
  }
  interface Module {
    readonly __module: unique symbol;
  }
  interface Instance {
    readonly exports: Record<string, unknown>;
  }
  const Memory: { new (descriptor: { initial: number; maximum?: number }): Memory };
  interface Global {
    value: number | bigint;
  }
  function validate(bytes: Uint8Array): boolean;
  const Module: {
    new (bytes: Uint8Array): Module;
    imports(module: Module): { module: string; name: string; kind: string }[];
    exports(module: Module): { name: string; kind: string }[];
    customSections(module: Module, name: string): ArrayBuffer[];
  };
  const Instance: { new (module: Module, imports: Record<string, Record<string, unknown>>): Instance };
  class RuntimeError extends Error {}
  class CompileError extends Error {}
  class LinkError extends Error {}
  /** Thrown by guest code. */
  class Exception {}
}
