"""Shows a bearer token and says what came of it, as smtplib and poplib do it: PORT smtp|pop3 MECHANISM USER TOKEN."""
import base64
import poplib
import smtplib
import ssl
import sys

port, service, mechanism, user, token = sys.argv[1:]
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
if mechanism == "OAUTHBEARER":
    message = f"n,a={user},\x01auth=Bearer {token}\x01\x01"
else:
    message = f"user={user}\x01auth=Bearer {token}\x01\x01"

if service == "smtp":
    smtp = smtplib.SMTP("127.0.0.1", int(port), timeout=100)
    smtp.starttls(context=context)
    smtp.ehlo()
    assert mechanism in smtp.esmtp_features["auth"].split(), smtp.esmtp_features
    told = []

    def answer(challenge=None):
        if challenge is None:
            return message
        told.append(challenge)
        return "\x01"

    try:
        print(smtp.auth(mechanism, answer))
    except smtplib.SMTPAuthenticationError as error:
        print(error.smtp_code, error.smtp_error.decode(), told)
else:
    pop3 = poplib.POP3("127.0.0.1", int(port), timeout=100)
    pop3.stls(context=context)
    assert mechanism in pop3.capa()["SASL"], pop3.capa()
    try:
        encoded = base64.b64encode(message.encode()).decode()
        reply = pop3._shortcmd(f"AUTH {mechanism} {encoded}")
        if reply.startswith(b"+ "):
            told = base64.b64decode(reply[2:])
            reply = pop3._shortcmd("AQ==")
        print(reply)
    except poplib.error_proto as error:
        print(error, told if "told" in globals() else "")
