"""Sends a message with bare line ends: PORT starttls|implicit USER PASSWORD VARIANT. Prints the replies after it."""
import smtplib
import ssl
import sys

port, tls, user, password, variant = sys.argv[1:]
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
if tls == "implicit":
    smtp = smtplib.SMTP_SSL("127.0.0.1", int(port), context=context, timeout=60)
else:
    smtp = smtplib.SMTP("127.0.0.1", int(port), timeout=60)
    smtp.starttls(context=context)
smtp.login(user, password)
smtp.mail(user)
smtp.rcpt(user)
assert smtp.docmd("DATA")[0] == 354
smtp.sock.sendall(variant.encode().decode("unicode_escape").encode() + b"\r\n.\r\n")
code, text = smtp.getreply()
print(code, text.decode())
print(*smtp.docmd("NOOP"))
