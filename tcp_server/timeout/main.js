// Timeout shows how to close a connection on which nothing happens.
//
//	node tcp_server/timeout/main.js
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, timeout } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  timeout: { type: 'string', default: '10s' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const server = net.createServer((socket) => {
  const peer = at(socket.remoteAddress, socket.remotePort)
  socket.pipe(socket)
  // An idle timer: what is sent or received winds it up again, and all that it
  // does is to say so. Go's deadline is a moment, to be set anew, and fails the
  // Read or the Write.
  socket.setTimeout(ms(timeout))
  socket.on('timeout', () => {
    console.log(`${peer} timed out after ${timeout}`)
    socket.destroy()
  })
  socket.on('error', (err) => console.error(`timeout: ${err.message}`)) // unheard, it would end the process
})
server.on('error', (err) => {
  console.error(`timeout: ${err.message}`)
  process.exitCode = 1
})
server.listen(port, host, () => {
  console.log('listening on', at(server.address().address, server.address().port))
})

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close()
    console.log('closed')
    process.exit() // connections still open would keep it alive
  })
}

function at (ip, port) {
  return net.isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`
}

// ms reads a time as Go prints it: 500ms, 2s.
function ms (time) {
  return parseFloat(time) * (time.endsWith('ms') ? 1 : 1000)
}
