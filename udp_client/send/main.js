// Send shows how to send a part of a buffer from a socket that was never bound
// by hand.
//
//	node udp_client/send/main.js
'use strict'
const dgram = require('node:dgram')
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, message, offset, length } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  message: { type: 'string', default: 'hello' },
  offset: { type: 'string', default: '0' },
  length: { type: 'string' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const data = Buffer.from(message)
const n = length === undefined ? data.length - offset : +length
const socket = dgram.createSocket(net.isIPv6(host) ? 'udp6' : 'udp4')
socket.on('message', (data, rinfo) => {
  console.log(`received ${data.length} bytes from ${at(rinfo.address, rinfo.port)}: ${quote(data)}`)
  socket.close()
})
// It is bound on the way: 0.0.0.0, or ::, and a port that the system chooses.
socket.send(data, +offset, n, +port, host, (err) => {
  if (err) {
    console.error(`send: ${err.message}`)
    process.exitCode = 1
    socket.close()
    return
  }
  console.log(`sent ${n} bytes to ${addr} from ${at(socket.address().address, socket.address().port)}`)
})

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => socket.close(() => console.log('closed')))
}

function at (ip, port) {
  return net.isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`
}

// quote shows the first 64 bytes of data, much as Go's %q does.
function quote (data) {
  return JSON.stringify(data.subarray(0, 64).toString()) + (data.length > 64 ? '…' : '')
}
