// Sends the message on standard input with nodemailer, as it is; prints the reply to the content.
// Arguments: path of nodemailer, port, TLS (plain, starttls, implicit), sender, recipient, and for a login its
// mechanism, user and password.
const fs = require("fs");
const [nodemailer, port, tls, from, to, method, user, pass] = process.argv.slice(1);

const transport = require(nodemailer).createTransport({
  host: "127.0.0.1",
  port: Number(port),
  secure: tls === "implicit",
  requireTLS: tls === "starttls",
  ignoreTLS: tls === "plain",
  tls: { rejectUnauthorized: false },
  auth: method ? { user, pass } : undefined,
  authMethod: method,
});

transport.sendMail({ envelope: { from, to: [to] }, raw: fs.readFileSync(0) }).then(
  (info) => console.log(info.response),
  (error) => {
    console.error(error.message);
    process.exitCode = 1;
  },
);
