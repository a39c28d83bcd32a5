// Client sends a message, says that this was all, and prints what comes back.
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

//weave:talk
const socket = net.connect(port, host) // returns at once, still connecting
socket.on('connect', () => {
  console.log('connected to', at(socket.remoteAddress, socket.remotePort),
    'from', at(socket.localAddress, socket.localPort))
  const data = Buffer.from(message)
  socket.write(data, (err) => err || console.log(`sent ${data.length} bytes: ${quote(data)}`))
  // FIN, once the data has gone: this was all. destroy() would end our reading too.
  socket.end()
})
socket.on('data', (data) => console.log(`received ${data.length} bytes: ${quote(data)}`))
// Both halves have ended: Node closes the socket by itself.
socket.on('close', (hadError) => hadError || console.log('closed'))
//weave:end
socket.on('error', (err) => { // one for several addresses has no message
  console.error(`client: ${err.message || err.code}`)
  process.exitCode = 1
})

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => socket.destroy())
}

function at (ip, port) {
  return /:/.test(ip) ? `[${ip}]:${port}` : `${ip}:${port}`
}

function quote (data) {
  return JSON.stringify(data.subarray(0, 64).toString())
}
