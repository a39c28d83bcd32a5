// Unref ends with its connection open, or waits for the peer to close it: what
// keeps a Node program running is that there is something left to wait for.
//
//	node tcp_client/unref/main.js --ref=false
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, ref } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  ref: { type: 'string', default: 'true' } // --ref=false
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

//weave:connect
const socket = net.connect(port, host, () => {
  console.log('connected to', at(socket.remoteAddress, socket.remotePort),
    'from', at(socket.localAddress, socket.localPort))
  if (ref === 'true') {
    console.log('waiting for the peer')
  } else {
    socket.unref() // this socket is no reason to stay, and there is no other
    console.log('not waiting')
  }
})
socket.resume() // read, and drop what comes
//weave:end
socket.on('error', (err) => {
  console.error(`unref: ${err.message || err.code}`)
  process.exitCode = 1
})

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    socket.destroy()
    console.log('closed')
  })
}

function at (ip, port) {
  return /:/.test(ip) ? `[${ip}]:${port}` : `${ip}:${port}`
}
