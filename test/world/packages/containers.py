# Debian: python3-more-itertools python3-toolz python3-sortedcontainers python3-pyrsistent python3-pycparser python3-ply python3-tqdm python3-markdown-it python3-mdurl
import more_itertools as m, toolz, sortedcontainers, pycparser.c_parser, tqdm, pyrsistent, markdown_it
print(list(m.chunked(range(7),3)), toolz.groupby(len,["a","bb","c"]), sortedcontainers.SortedDict(b=1,a=2), pyrsistent.pmap({"a":1}).set("b",2)["b"])
pycparser.c_parser.CParser().parse("int f(int x){return x+1;}").show()
import io; f=io.StringIO(); print(sum(tqdm.tqdm(range(5), file=f)), markdown_it.MarkdownIt().render("*a*"))
