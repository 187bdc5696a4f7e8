typedef void FILE;
int flockfile(FILE *f) { (void)f; return 0; }
int funlockfile(FILE *f) { (void)f; return 0; }
