// Client sends a message over TCP and prints all that comes back.
//
//	node tcp_client/client/main.js
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, message } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  message: { type: 'string', default: 'hello' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const socket = net.connect(port, host, () => {
  console.log('connected to', at(socket.remoteAddress, socket.remotePort),
    'from', at(socket.localAddress, socket.localPort))
  const data = Buffer.from(message)
  socket.write(data, () => console.log(`sent ${data.length} bytes: ${quote(data)}`))
  // FIN tells the server that this is all. Reading goes on until its FIN:
  // destroy() would throw away what it still has to say.
  socket.end()
})
socket.on('data', (data) => console.log(`received ${data.length} bytes: ${quote(data)}`))
socket.on('error', (err) => {
  console.error(`client: ${err.message}`)
  process.exitCode = 1
})
socket.on('close', (hadError) => hadError || console.log('closed'))

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => socket.destroy())
}

function at (ip, port) {
  return net.isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`
}

// quote shows the first 64 bytes of data, much as Go's %q does.
function quote (data) {
  return JSON.stringify(data.subarray(0, 64).toString()) + (data.length > 64 ? '…' : '')
}
