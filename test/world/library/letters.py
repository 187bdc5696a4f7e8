import email, email.policy, email.utils, imaplib, mailbox, mimetypes, smtplib, email.header
from email.message import EmailMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
m = EmailMessage()
m["Subject"] = "Rechnung für März – 5 €"
m["From"] = email.utils.formataddr(("Ann Müller", "ann@example.org"))
m["To"] = "bob@example.org, Cy <cy@example.org>"
m["Date"] = "Mon, 30 Nov 2026 05:52:07 +0000"
m.set_content("Guten Tag,\n\nim Anhang.\n")
m.add_alternative("<p>Guten Tag</p>", subtype="html")
m.add_attachment(b"\x00\x01data", maintype="application", subtype="octet-stream", filename="März.bin")
m.preamble = None
text = m.as_bytes(policy=email.policy.SMTP.clone(max_line_length=78))
again = email.message_from_bytes(text, policy=email.policy.default)
print(again["subject"], again["to"].addresses[1].username, [p.get_content_type() for p in again.walk()], next(again.iter_attachments()).get_filename(), next(again.iter_attachments()).get_content())
print(again.get_body(("plain",)).get_content(), again["date"].datetime.isoformat(), email.utils.parseaddr("Ann <a@b.c>"), email.header.decode_header("=?utf-8?q?M=C3=A4rz?="))
old = MIMEMultipart("mixed", boundary="BB"); old.attach(MIMEText("x", "plain", "utf-8")); old["X-A"] = "1"
print(old.as_string())
print(mimetypes.guess_type("a.tar.gz"), mimetypes.guess_extension("text/html"), email.utils.parsedate_to_datetime("Mon, 30 Nov 2026 05:52:07 -0330"), email.utils.format_datetime(again["date"].datetime))
box = mailbox.mbox("box"); box.add(m); box.add("From x\nSubject: two\n\nFrom here on\n"); box.flush()
print(len(box), [x["subject"] for x in mailbox.mbox("box")][1], imaplib.ParseFlags(b"(FLAGS (\\Seen))"))
