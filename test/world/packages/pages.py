# Debian: python3-bs4 python3-soupsieve python3-html5lib python3-webencodings python3-six
from bs4 import BeautifulSoup
for p in ("html.parser", "html5lib"):
    s = BeautifulSoup("<p class=a>x<b>y</p><a href=u>z</a>", p); print(s.prettify(), s.select("a[href]"), s.p.get_text())
