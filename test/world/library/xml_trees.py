import xml.etree.ElementTree as ET, xml.sax, xml.dom.minidom, io
root = ET.fromstring('<data xmlns:a="u"><country name="L"><rank>1</rank></country><a:x/></data>')
for c in root.iter('country'):
    c.find('rank').text = str(2)
    c.set('u', 'y')
ET.indent(root)
print(ET.tostring(root, encoding='unicode'))
ET.ElementTree(root).write('o.xml', encoding='utf-8', xml_declaration=True)
print(open('o.xml').read())

class H(xml.sax.ContentHandler):

    def startElement(self, n, a):
        print('start', n, dict(a))
xml.sax.parse('o.xml', H())
print(xml.dom.minidom.parse('o.xml').toprettyxml()[:50])
try:
    ET.fromstring('<a>')
except ET.ParseError as e:
    print(e, e.position)
for ev, el in ET.iterparse('o.xml', ('start', 'end')):
    print(ev, el.tag)
