// Client sends a message over UDP and waits for the reply.
//
//	node udp_client/client/main.js
'use strict'
const dgram = require('node:dgram')
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, message, timeout } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  message: { type: 'string', default: 'hello' },
  timeout: { type: 'string', default: '2s' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

// Connecting sends nothing. The kernel notes the peer, and passes on its refusal
// as an error, which only a connected socket gets.
const socket = dgram.createSocket(net.isIPv6(host) ? 'udp6' : 'udp4')
let timer
socket.connect(port, host, () => {
  const peer = socket.remoteAddress()
  console.log('connected to', at(peer.address, peer.port),
    'from', at(socket.address().address, socket.address().port))
  const data = Buffer.from(message)
  socket.send(data, (err) => err || console.log(`sent ${data.length} bytes: ${quote(data)}`))
  timer = setTimeout(() => fail(`read ${at(peer.address, peer.port)}: no reply within ${timeout}`), ms(timeout))
})
socket.on('message', (data, rinfo) => {
  console.log(`received ${data.length} bytes from ${at(rinfo.address, rinfo.port)}: ${quote(data)}`)
  clearTimeout(timer)
  socket.close()
})
socket.on('error', (err) => fail(err.message))

function fail (cause) {
  console.error(`client: ${cause}`)
  process.exitCode = 1
  clearTimeout(timer)
  socket.close()
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    clearTimeout(timer)
    socket.close(() => console.log('closed'))
  })
}

function at (ip, port) {
  return net.isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`
}

// quote shows the first 64 bytes of data, much as Go's %q does.
function quote (data) {
  return JSON.stringify(data.subarray(0, 64).toString()) + (data.length > 64 ? '…' : '')
}

// ms reads a time as Go prints it: 500ms, 2s.
function ms (time) {
  return parseFloat(time) * (time.endsWith('ms') ? 1 : 1000)
}
