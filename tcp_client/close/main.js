// Close ends a connection in one of three ways: with FIN while it goes on reading,
// with FIN and no more reading, or with RST.
//
//	node tcp_client/close/main.js --how destroy
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, how } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  how: { type: 'string', default: 'end' }
} }).values
if (!['end', 'destroy', 'reset'].includes(how)) {
  console.error(`close: want --how end, destroy or reset, not ${how}`)
  process.exit(1)
}
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const socket = net.connect(port, host, () => {
  console.log('connected to', at(socket.remoteAddress, socket.remotePort),
    'from', at(socket.localAddress, socket.localPort))
  end(socket)
})

function end (socket) {
  switch (how) {
    case 'destroy':
      // Both halves at once. What write() has queued in the process is dropped; in Go
      // there is no such queue, and the kernel sends on what it has taken.
      socket.destroy()
      return console.log('destroyed')
    case 'reset':
      socket.resetAndDestroy()
      return console.log('reset: sent RST')
  }
  // Our half only, after what is queued. 'finish' says that FIN has been sent.
  socket.end().on('finish', () => {
    console.log('ended: sent FIN, still reading')
    socket.on('data', (data) => console.log(`received ${data.length} bytes: ${quote(data)}`))
  })
  // When all, and then the peer's FIN, has been read, Node closes by itself.
  socket.on('close', (hadError) => hadError || console.log('closed'))
}

socket.on('error', (err) => {
  console.error(`close: ${err.message || err.code}`)
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
