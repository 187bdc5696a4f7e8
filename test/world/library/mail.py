from email.message import EmailMessage
from email.policy import SMTP, default
from email.parser import BytesParser
from email.utils import make_msgid, formatdate, parsedate_to_datetime, localtime
import mimetypes
msg = EmailMessage()
msg['Subject'] = 'Ayons asperges pour le déjeuner'
msg['From'] = 'a@b.c'
msg['To'] = 'd@e.f'
msg.set_content('Salut!\n\nCela ressemble à un excellent recipie\n')
cid = make_msgid(domain='xyz.com')
msg.add_alternative(f"<html><img src='cid:{cid[1:-1]}'></html>", subtype='html')
msg.add_attachment(b'\x00\x01\x02', maintype='application', subtype='octet-stream', filename='x.bin')
raw = msg.as_bytes(policy=SMTP)
m = BytesParser(policy=default).parsebytes(raw)
print(m['subject'], m.get_body(('plain',)).get_content(), [p.get_filename() for p in m.iter_attachments()])
print(make_msgid().count('@'), mimetypes.guess_type('a.tar.gz'), mimetypes.guess_extension('text/html'))
