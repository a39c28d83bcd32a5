// Close echoes. Told to stop, it takes no new connection, goes on serving those
// it has, and ends when the last of them has gone.
//
//	node tcp_server/close/main.js
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' }
} }).values
const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(addr)

const server = net.createServer((socket) => {
  socket.pipe(socket) // and ends it at the client's FIN
  socket.on('error', (err) => console.error(`close: ${err.message}`)) // with no listener it would end the process
})
server.on('error', (err) => {
  console.error(`close: ${err.message}`)
  process.exitCode = 1
})
server.listen(port, host, () => console.log('listening on', at(server.address())))

const signals = ['SIGINT', 'SIGTERM']
for (const signal of signals) process.on(signal, close)

function close () {
  for (const signal of signals) process.off(signal, close) // a second one kills
  // Asked first: close calls back at once if nobody is connected.
  server.getConnections((_, open) => {
    // The port is free when close returns. The callback comes when the last
    // connection has ended, and the process has nothing left to do then.
    server.close(() => console.log('closed'))
    console.log(`no longer listening, ${open} open`)
  })
}

function at ({ address, port }) {
  return /:/.test(address) ? `[${address}]:${port}` : `${address}:${port}`
}
