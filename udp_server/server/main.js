// Server prints each datagram that arrives, and who sent it, and sends it back.
//
//	node udp_server/server/main.js
'use strict'
const dgram = require('node:dgram')
const { parseArgs } = require('node:util')

const { addr } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

// A socket has one family from its birth, before any name is resolved.
const socket = dgram.createSocket(/:/.test(host) ? 'udp6' : 'udp4')
socket.on('message', echo)
socket.on('listening', () => console.log('listening on', at(socket.address())))
socket.on('error', fail)
if (isGroup(host)) { // Node would bind it, and join nothing
  fail(new Error(`bind ${addr}: a multicast group has to be joined, see multicast:client`))
} else {
  socket.bind(port, host)
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => socket.close(() => console.log('closed')))
}

// echo is called for each datagram, the empty one too; message is a buffer of its own.
function echo (message, rinfo) {
  const data = JSON.stringify(message.subarray(0, 64).toString())
  console.log(`${at(rinfo)} ${rinfo.family} sent ${rinfo.size} bytes: ${data}`)
  // Who sends from port 0 wants no reply (RFC 768), and send would throw.
  if (rinfo.port === 0) return console.error('server: no port to reply to')
  // Without the callback nobody would be told that a reply could not be sent.
  socket.send(message, rinfo.port, rinfo.address, (err) => {
    if (err) console.error(`server: ${err.message}`) // this peer's loss only
  })
}

function fail (err) {
  console.error(`server: ${err.message}`)
  process.exitCode = 1
  socket.close()
}

function isGroup (ip) {
  return /^(22[4-9]|23\d)\./.test(ip) || /^ff..:/i.test(ip)
}

function at ({ address, port }) {
  return /:/.test(address) ? `[${address}]:${port}` : `${address}:${port}`
}
