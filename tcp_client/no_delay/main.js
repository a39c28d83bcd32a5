// No_delay writes a message byte by byte, with Nagle's algorithm off or on, or all
// bytes by one write. How many segments left, Node has no way to ask.
//
//	node tcp_client/no_delay/main.js --no-delay=false
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, 'no-delay': noDelay, cork, message } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  'no-delay': { type: 'string', default: 'true' }, // --no-delay=false
  cork: { type: 'boolean', default: false },
  message: { type: 'string', default: 'twenty bytes of text' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const socket = net.connect(port, host, () => {
  console.log('connected to', at(socket.remoteAddress, socket.remotePort),
    'from', at(socket.localAddress, socket.localPort))
  write(Buffer.from(message))
})
socket.resume() // until the peer's FIN: then Node closes by itself

function write (data) {
  // Node leaves Nagle's algorithm on. net.connect and net.createServer have an option
  // noDelay for all their sockets.
  socket.setNoDelay(noDelay === 'true')
  // Corked, Node queues in the program, and hands the queue over by one writev(2).
  if (cork) socket.cork()
  for (let i = 0; i < data.length; i++) {
    socket.write(data.subarray(i, i + 1))
  }
  socket.uncork() // without cork it does nothing
  console.log(`wrote ${data.length} bytes in ${cork ? 1 : data.length} writes`)
}

socket.on('error', (err) => {
  console.error(`no_delay: ${err.message || err.code}`)
  process.exitCode = 1
})
socket.on('close', (hadError) => hadError || console.log('closed'))

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => socket.destroy())
}

function at (ip, port) {
  return /:/.test(ip) ? `[${ip}]:${port}` : `${ip}:${port}`
}
