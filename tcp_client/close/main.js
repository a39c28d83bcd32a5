// Close shows three ways to close a connection: end, destroy and reset.
//
//	node tcp_client/close/main.js
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, how } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  how: { type: 'string', default: 'end' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const socket = net.connect(port, host, () => {
  console.log('connected to', at(socket.remoteAddress, socket.remotePort),
    'from', at(socket.localAddress, socket.localPort))
  switch (how) {
    case 'end': // FIN: we have sent all. The other direction stays open.
      socket.end()
      console.log('ended: sent FIN, still reading')
      socket.on('close', (hadError) => hadError || console.log('closed'))
      break
    case 'destroy': // both directions at once
      socket.destroy()
      console.log('destroyed')
      break
    case 'reset': // RST instead of FIN
      socket.resetAndDestroy()
      console.log('reset: sent RST')
      break
  }
})
socket.on('data', (data) => console.log(`received ${data.length} bytes: ${quote(data)}`))
socket.on('error', (err) => {
  console.error(`close: ${err.message}`)
  process.exitCode = 1
})

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
