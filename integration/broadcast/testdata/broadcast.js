// What a broadcast needs: nobody may send one who has not asked to.
//
//	node integration/broadcast/testdata/broadcast.js
'use strict'
const dgram = require('node:dgram')

const socket = dgram.createSocket('udp4')
try { socket.setBroadcast(true) } catch (err) { console.log(err.code) } // not bound yet
socket.send('first', 8080, '127.255.255.255', (err) => {
  console.log(err ? err.message : 'sent')
  socket.setBroadcast(true)
  socket.send('second', 8080, '127.255.255.255', (err) => {
    console.log(err ? err.message : 'sent')
    socket.close()
  })
})
