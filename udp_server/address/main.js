// Address binds a socket and asks the kernel what it is bound to: the address,
// the port that the system chose if none was given, and the family.
//
//	node udp_server/address/main.js
'use strict'
const dgram = require('node:dgram')
const { parseArgs } = require('node:util')

const { addr, network } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  network: { type: 'string', default: 'udp4' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const socket = dgram.createSocket(network)
socket.on('listening', describe)
socket.on('error', fail)
if (isGroup(host)) { // Node would bind it, and join nothing
  fail(new Error(`bind ${addr}: a multicast group has to be joined, see multicast:client`))
} else {
  socket.bind(port, host)
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => socket.close(() => console.log('closed')))
}

// describe is called when the socket is bound: before that, address() throws EBADF.
function describe () {
  const { address, port, family } = socket.address() // an object: no parts to dig for
  console.log('listening on', at({ address, port }))
  console.log(`address: ${address}\nport: ${port}\nfamily: ${family}`)
}

function fail (err) {
  console.error(`address: ${err.message}`)
  process.exitCode = 1
  socket.close()
}

function isGroup (ip) {
  return /^(22[4-9]|23\d)\./.test(ip) || /^ff..:/i.test(ip)
}

function at ({ address, port }) {
  return /:/.test(address) ? `[${address}]:${port}` : `${address}:${port}`
}
