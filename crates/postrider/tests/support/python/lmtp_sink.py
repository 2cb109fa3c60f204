"""An LMTP server (RFC 2033) on a Unix socket or a loopback port: PLACE CONNECTIONS. Each word of a recipient's local part
says what becomes of him: gone, full, lost (the connection is), others are delivered to. Ends after so many connections and
prints what was delivered."""
import json
import os
import socket
import sys

place, connections = sys.argv[1], int(sys.argv[2])
delivered = []


def fate(recipient):
    user = recipient.split("@")[0]
    return {"gone": "550 5.2.1 disabled", "full": "452 4.2.2 over quota", "lost": None}.get(user, "250 2.1.5 delivered")


def serve(stream):
    say = lambda *lines: (stream.write("".join(line + "\r\n" for line in lines).encode()), stream.flush())
    say("220 store.test LMTP")
    recipients = []
    while line := stream.readline().decode().rstrip("\r\n"):
        verb = line[:4].upper()
        if verb == "LHLO":
            say("250-store.test", "250-PIPELINING", "250-ENHANCEDSTATUSCODES", "250 8BITMIME")
        elif verb == "RCPT":
            recipients.append(line.split("<")[1].split(">")[0])
            say("250 2.1.5 ok")
        elif verb == "DATA":
            say("354 go")
            content = b""
            while (row := stream.readline()) != b".\r\n":
                content += row[1:] if row.startswith(b".") else row
            for recipient in recipients:
                reply = fate(recipient)
                if reply is None:
                    return
                if reply.startswith("250"):
                    delivered.append([recipient, content.decode()])
                say(reply)
            recipients = []
        elif verb == "QUIT":
            return say("221 2.0.0 bye")
        elif verb in ("EHLO", "HELO"):
            say("500 5.5.1 this is LMTP")
        else:
            say("250 2.0.0 ok")


if place.isdigit():
    server = socket.create_server(("127.0.0.1", int(place)))
else:
    server = socket.socket(socket.AF_UNIX)
    server.bind(place)
    server.listen()
server.settimeout(110)
for _ in range(connections):
    connection, _ = server.accept()
    connection.settimeout(110)
    with connection, connection.makefile("rwb") as stream:
        serve(stream)
if not place.isdigit():
    os.unlink(place)
print(json.dumps(delivered))
