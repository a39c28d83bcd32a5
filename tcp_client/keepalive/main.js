// Keepalive shows how to notice a peer that has vanished without a word.
//
//	node tcp_client/keepalive/main.js
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, idle } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  idle: { type: 'string', default: '15s' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const socket = net.connect(port, host, () => {
  console.log('connected to', at(socket.remoteAddress, socket.remotePort),
    'from', at(socket.localAddress, socket.localPort))
  // Off unless asked for. The interval and the count of the probes cannot be
  // set, and nothing can be read back.
  socket.setKeepAlive(true, ms(idle))
  console.log(`keep-alive on: idle ${idle}`)
})
socket.resume()
let cause
socket.on('error', (err) => { cause = err.message })
socket.on('close', (hadError) => console.log(hadError ? `closed with error: ${cause}` : 'closed'))

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => socket.destroy())
}

function at (ip, port) {
  return net.isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`
}

// ms reads a time as Go prints it: 500ms, 2s.
function ms (time) {
  return parseFloat(time) * (time.endsWith('ms') ? 1 : 1000)
}
