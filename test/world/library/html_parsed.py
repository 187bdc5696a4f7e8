from html.parser import HTMLParser
import html

class P(HTMLParser):

    def handle_starttag(self, t, a):
        print('S', t, a)

    def handle_data(self, d):
        print('D', d)

    def handle_entityref(self, n):
        print('E', n)
P(convert_charrefs=False).feed('<p class=a>x &gt; &#62; <img src="1"/><script>if (a<b) {}</script>')
print(html.escape('<"\'&>'), html.unescape('&eacute;&#x27;'))
