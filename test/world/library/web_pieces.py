from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator
import http.server, http.cookies, urllib.parse, urllib.robotparser, ipaddress, xmlrpc.client, json, html

def app(env, start):
    setup_testing_defaults(env)
    start('200 OK', [('Content-type', 'text/plain')])
    return [b'x']
out = []
print(app({}, lambda *a: out.append(a)), out)
print(urllib.parse.urlencode({'a': 'é b'}), urllib.parse.urlsplit('http://u:p@h:80/p?q#f').port, ipaddress.ip_network('10.0.0.0/30').num_addresses, list(ipaddress.ip_address('::1').exploded)[:3])
print(xmlrpc.client.dumps((1, 'a'), 'm')[:40])
c = http.cookies.SimpleCookie('a=b; c=d')
print(c['c'].value)
