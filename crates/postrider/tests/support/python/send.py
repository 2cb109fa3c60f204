"""Sends the message on standard input: PORT plain|starttls|implicit FROM TO [USER PASSWORD]."""
import smtplib
import ssl
import sys

port, tls, sender, recipient, *login = sys.argv[1:]
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
if tls == "implicit":
    smtp = smtplib.SMTP_SSL("127.0.0.1", int(port), context=context, timeout=100)
else:
    smtp = smtplib.SMTP("127.0.0.1", int(port), timeout=100)
if tls == "starttls":
    smtp.starttls(context=context)
if login:
    smtp.login(*login)
beyond_ascii = not (sender + recipient).isascii()
options = ["SMTPUTF8", "BODY=8BITMIME"] if beyond_ascii else ["BODY=8BITMIME"]
smtp.sendmail(sender, [recipient], sys.stdin.buffer.read(), mail_options=options)
smtp.quit()
