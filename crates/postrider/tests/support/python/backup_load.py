# Sends by SMTP and appends by IMAP until there is a file that says stop, or the server is gone. A journal has one line for
# everything that was acknowledged: the name, and for what was appended its UID and keyword too.
import imaplib, os, smtplib, sys, threading

smtp_port, imap_port, user, password, journal, stop = sys.argv[1:]
journal = open(journal, "a", buffering=1)
lock = threading.Lock()


def note(*words):
    with lock:
        journal.write(" ".join(words) + "\n")


def message(name):
    lines = "".join("%s line %d %s\r\n" % (name, line, "x" * 60) for line in range(40))
    return "Subject: %s\r\nMessage-ID: <%s@client.test>\r\n\r\n%s" % (name, name, lines)


def sends(number):
    with smtplib.SMTP("127.0.0.1", int(smtp_port)) as session:
        for count in range(10**6):
            if os.path.exists(stop):
                return
            name = "sent-%d-%d" % (number, count)
            session.sendmail("a@client.test", [user], message(name))
            note("sent", name)


def appends(number):
    session = imaplib.IMAP4("127.0.0.1", int(imap_port))
    session.login(user, password)
    for count in range(10**6):
        if os.path.exists(stop):
            return
        name = "appended-%d-%d" % (number, count)
        keyword = "k%d" % (count % 7)
        answer = session.append("Archive", "(\\Seen %s)" % keyword, None, message(name).encode())[1]
        uid = answer[0].split(b"]")[0].split()[-1].decode()
        note("appended", name, uid, keyword)


def until_gone(work, number):
    try:
        work(number)
    except (OSError, smtplib.SMTPException, imaplib.IMAP4.error):
        pass


threads = [threading.Thread(target=until_gone, args=(work, number)) for work in (sends, appends) for number in (1, 2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
