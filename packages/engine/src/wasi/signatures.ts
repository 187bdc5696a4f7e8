/**
 * What each WASI function takes and returns (preview 1), as WebAssembly types: a module that imports one as anything else is refused, for
 * its calls would hand the host values of another kind. i: i32, I: i64.
 */
const RETURNS_ERRNO = {
  args_get: "ii",
  args_sizes_get: "ii",
  clock_res_get: "ii",
  clock_time_get: "iIi",
  environ_get: "ii",
  environ_sizes_get: "ii",
  fd_advise: "iIIi",
  fd_allocate: "iII",
  fd_close: "i",
  fd_datasync: "i",
  fd_fdstat_get: "ii",
  fd_fdstat_set_flags: "ii",
  fd_fdstat_set_rights: "iII",
  fd_filestat_get: "ii",
  fd_filestat_set_size: "iI",
  fd_filestat_set_times: "iIIi",
  fd_pread: "iiiIi",
  fd_prestat_dir_name: "iii",
  fd_prestat_get: "ii",
  fd_pwrite: "iiiIi",
  fd_read: "iiii",
  fd_readdir: "iiiIi",
  fd_renumber: "ii",
  fd_seek: "iIii",
  fd_sync: "i",
  fd_tell: "ii",
  fd_write: "iiii",
  path_create_directory: "iii",
  path_filestat_get: "iiiii",
  path_filestat_set_times: "iiiiIIi",
  path_link: "iiiiiii",
  path_open: "iiiiiIIii",
  path_readlink: "iiiiii",
  path_remove_directory: "iii",
  path_rename: "iiiiii",
  path_symlink: "iiiii",
  path_unlink_file: "iii",
  poll_oneoff: "iiii",
  proc_raise: "i",
  random_get: "ii",
  sched_yield: "",
  sock_accept: "iii",
  sock_recv: "iiiiii",
  sock_send: "iiiii",
  sock_shutdown: "ii",
} as const;

/** Parameters and results by name; a Map, for the names asked for are the customer's. */
export const WASI_SIGNATURES: ReadonlyMap<string, { params: string; results: string }> = new Map([
  ...Object.entries(RETURNS_ERRNO).map(([name, params]): [string, { params: string; results: string }] => [name, { params, results: "i" }]),
  ["proc_exit", { params: "i", results: "" }],
]);

/**
 * What modules tell their host of, by its whole name, where the host has nothing to do: Emscripten's that grow their memory do, also where
 * they are for no JavaScript (`-sSTANDALONE_WASM -sALLOW_MEMORY_GROWTH`; emscripten.h, "ABI functions").
 */
export const NOTICES: ReadonlyMap<string, { params: string; results: string }> = new Map([
  ["env.emscripten_notify_memory_growth", { params: "i", results: "" }],
]);
